import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { buildAssets, findAssets, requireAssets } from "./assets.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pricing-engine-assets-"));
  vi.stubEnv("XDG_CACHE_HOME", folder);
  vi.stubEnv("KUBEBUILDER_ASSETS", "");
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

it("finds nothing where nothing was built, and says what to do", () => {
  expect(findAssets()).toBeUndefined();
  expect(() => requireAssets()).toThrow(/KUBEBUILDER_ASSETS.*pnpm envtest/);
});

it("takes the folder that is named, when it has both programs", () => {
  vi.stubEnv("KUBEBUILDER_ASSETS", folder);
  writeFileSync(join(folder, "etcd"), "");
  expect(() => findAssets()).toThrow(/lacks kube-apiserver$/);
  writeFileSync(join(folder, "kube-apiserver"), "");
  expect(findAssets()).toBe(folder);
});

it("builds both with Go, from the module whose versions it is named after, and finds them again", async () => {
  // In Go's place: notes where and how it is called, and writes the program.
  const bin = join(folder, "bin");
  mkdirSync(bin);
  const go =
    '#!/bin/sh\necho "$(basename $PWD) $*" >> "$GO_CALLS"\nwhile [ $# -gt 2 ]; do shift; done\necho program > "$1"\n';
  writeFileSync(join(bin, "go"), go, { mode: 0o755 });
  const calls = join(folder, "calls");
  vi.stubEnv("GO_CALLS", calls);
  vi.stubEnv("PATH", `${bin}:${process.env.PATH}`);
  const built = await buildAssets(() => undefined);
  expect(findAssets()).toBe(built);
  expect(readdirSync(built).toSorted()).toEqual(["etcd", "kube-apiserver"]);
  expect(await buildAssets(() => undefined)).toBe(built);
  const lines = readFileSync(calls, "utf8").trim().split("\n");
  expect(lines).toHaveLength(2);
  expect(lines[1]).toMatch(
    /^go build -mod=readonly .*gitVersion=v1\.\d+\.\d+ .* k8s\.io\/kubernetes\/cmd\/kube-apiserver$/,
  );
});

it("leaves no half a build behind", async () => {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "go"), "#!/bin/sh\necho no such module >&2\nexit 1\n", { mode: 0o755 });
  vi.stubEnv("PATH", `${bin}:${process.env.PATH}`);
  await expect(buildAssets(() => undefined)).rejects.toThrow("no such module");
  expect(findAssets()).toBeUndefined();
  const left = readdirSync(join(folder, "pricing-engine", "envtest")).filter((name) => !name.endsWith(".lock"));
  expect(left).toEqual([]);
});
