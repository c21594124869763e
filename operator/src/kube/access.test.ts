import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { RequestOptions } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadKubeAccess } from "./access.ts";

const folder = mkdtempSync(join(tmpdir(), "pricing-engine-account-"));
beforeAll(() => {
  writeFileSync(join(folder, "ca.crt"), "an authority");
  writeFileSync(join(folder, "token"), "first\n");
});
afterAll(() => rmSync(folder, { recursive: true }));

const optionsOf = async (access: Awaited<ReturnType<typeof loadKubeAccess>>): Promise<RequestOptions> => {
  const options: RequestOptions = {};
  await access.applyToHTTPSOptions(options);
  return options;
};

test.each([
  ["10.96.0.1", "https://10.96.0.1:6443"],
  ["fd00::1", "https://[fd00::1]:6443"],
])("a pod on %s: its service account, with the token that is there now", async (host, server) => {
  writeFileSync(join(folder, "token"), "first\n");
  const env = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: "6443", SERVICE_ACCOUNT_FOLDER: folder };
  const access = await loadKubeAccess(env);
  expect(access.getCurrentCluster()?.server).toBe(server);
  expect(await optionsOf(access)).toEqual({ ca: "an authority", headers: { Authorization: "Bearer first" } });
  writeFileSync(join(folder, "token"), "second\n");
  expect((await optionsOf(access)).headers).toEqual({ Authorization: "Bearer second" });
});
