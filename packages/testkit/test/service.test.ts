import { fork } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { eventually, spawnService } from "../src/index.ts";

const entry = new URL("./fixtures/service.ts", import.meta.url);

it("waits until it is ready, and stops it in order", async () => {
  const service = await spawnService({ entry, env: { GREETING: "hello" } });
  expect(await (await fetch(service.url)).text()).toBe("hello");
  expect(await service.stop()).toEqual({ code: 0, signal: null });
  expect(service.output()).toContain("draining");
});

it("rejects with the output of a service that ends before it is ready", async () => {
  await expect(spawnService({ entry, args: ["crash"] })).rejects.toThrow("broken on purpose");
});

it("kills, pauses and resumes", async () => {
  await using service = await spawnService({ entry, env: { GREETING: "hello" } });
  service.pause();
  await expect(fetch(service.url, { signal: AbortSignal.timeout(200) })).rejects.toThrow();
  service.resume();
  expect(await (await fetch(service.url)).text()).toBe("hello");
  expect(await service.kill()).toEqual({ code: null, signal: "SIGKILL" });
});

it("leaves no service behind when the test process is killed", async () => {
  const parent = fork(new URL("./fixtures/parent.ts", import.meta.url), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const [{ pid }] = (await once(parent, "message")) as [{ pid: number }];
  parent.kill("SIGKILL");
  await eventually(() => !isAlive(pid));
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
