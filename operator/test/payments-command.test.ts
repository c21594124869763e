import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runPayments } from "../src/cli/payments.ts";
import { openStateDir, takeLock } from "../src/runtime/local/state-dir.ts";

let path: string;
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "pe-payments-"));
});
afterEach(() => rmSync(path, { recursive: true, force: true }));

test("a command of the payment service gets the variables of the engine's worker, or a word on what is missing", async () => {
  const dir = openStateDir(path);
  await expect(runPayments(dir, ["release"])).rejects.toThrow("No engine runs here");
  takeLock(dir, { engine: "default/shop", address: "http://127.0.0.1:9999", resourceFile: "shop.yaml" });
  await expect(runPayments(dir, ["release"])).rejects.toThrow("no section payment");
  const env = { ENGINE_NAMESPACE: "default", ENGINE_NAME: "shop", POSTGRES_URL: "postgres://127.0.0.1:1/none" };
  writeFileSync(dir.commandEnvFile("payment"), JSON.stringify(env));
  // With its variables it gets as far as its arguments, which are wrong.
  expect(await runPayments(dir, ["release"])).toBe(2);
});

test.each([[], ["worker"], ["api"], ["--help"]])(
  "what is no command starts no process: %j",
  async (...args: string[]) => {
    const dir = openStateDir(path);
    takeLock(dir, { engine: "default/shop", address: "http://127.0.0.1:9999", resourceFile: "shop.yaml" });
    // As the engine tells its worker; started by these, a worker would fail at once, with another code.
    const env = { ENGINE_NAMESPACE: "default", ENGINE_NAME: "shop", ENGINE_ROLE: "worker" };
    writeFileSync(dir.commandEnvFile("payment"), JSON.stringify(env));
    expect(await runPayments(dir, args)).toBe(2);
  },
);
