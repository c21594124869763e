import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ensureAdminKey, ensureSigningKeys, getSecretValue } from "../src/runtime/local/secrets.ts";
import { openStateDir, type StateDir } from "../src/runtime/local/state-dir.ts";

const dayMs = 24 * 3_600_000;
let path: string;
let dir: StateDir;

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "pe-secrets-"));
  dir = openStateDir(path);
});
afterEach(() => rm(path, { recursive: true, force: true }));

test("signing keys are made once, for the owner alone, and rotated with two valid", async () => {
  const now = Date.now();
  const first = ensureSigningKeys(dir, now);
  expect(first.keys).toHaveLength(1);
  expect((await stat(dir.signingKeysFile)).mode & 0o077).toBe(0);
  expect(ensureSigningKeys(dir, now + 29 * dayMs)).toEqual(first);
  const second = ensureSigningKeys(dir, now + 31 * dayMs);
  expect(second.keys).toHaveLength(2);
  expect(second.keys[1]).toEqual(first.keys[0]);
  expect(second.keys[0]).not.toEqual(first.keys[0]);
});

test("the admin key is kept, unless the resource brings its own", () => {
  const made = ensureAdminKey(dir, undefined);
  expect(made).toMatch(/^pe_[\w-]{32}$/);
  expect(ensureAdminKey(dir, undefined)).toBe(made);
  expect(ensureAdminKey(dir, "given")).toBe("given");
});

test("a missing Secret says where it was looked for", () => {
  const secrets = new Map([["db", { url: "postgres://x" }]]);
  expect(getSecretValue(dir, secrets, "db", "url")).toBe("postgres://x");
  expect(() => getSecretValue(dir, secrets, "db", "token")).toThrow(join(path, "secrets", "db", "token"));
});
