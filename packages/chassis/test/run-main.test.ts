import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "@pricing-engine/testkit";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";

let folder: string;
const children: ChildProcess[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "run-main-"));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(() => rm(folder, { recursive: true }));

let starts = 0;

function start(mode: string, graceMs = 5_000) {
  starts += 1;
  const readyFile = join(folder, `${mode}-${starts}.json`);
  const env = { ...process.env, READY_FILE: readyFile, SHUTDOWN_GRACE_MS: String(graceMs) };
  const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, "fixtures/main.ts"), mode], { env });
  children.push(child);
  let output = "";
  child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  const exited = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.once("close", (code) => resolve({ code, output }));
  });
  const ready = () =>
    eventually(async () => JSON.parse(await readFile(readyFile, "utf8")) as { metricsPort: number; pid: number });
  return { child, exited, ready, output: () => output };
}

it("says where it listens, answers probes, and on SIGTERM closes and exits 0", async () => {
  const { child, exited, ready } = start("good");
  const { metricsPort, pid } = await ready();
  expect(pid).toBe(child.pid);
  for (const path of ["livez", "readyz", "health"]) {
    const response = await fetch(`http://127.0.0.1:${metricsPort}/${path}`);
    expect([response.status, await response.json()]).toEqual([200, { status: "healthy" }]);
  }
  expect(await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()).toContain(
    "process_cpu_user_seconds_total",
  );
  child.kill("SIGTERM");
  expect(await exited).toMatchObject({ code: 0, output: expect.stringContaining("CLOSED") });
});

it("a failed start closes what was open and exits 1", async () => {
  const { exited } = start("fail");
  const { code, output } = await exited;
  expect(code).toBe(1);
  expect(output).toContain("no database");
  expect(output).toContain("CLOSED");
});

it("an unhandled rejection closes what is open and exits 1", async () => {
  const { exited } = start("crash");
  expect(await exited).toMatchObject({ code: 1, output: expect.stringContaining("CLOSED") });
});

it("a closer that hangs does not outlive the grace period, and the others run", async () => {
  const { child, exited, ready } = start("hang", 500);
  await ready();
  child.kill("SIGTERM");
  expect(await exited).toMatchObject({ code: 0, output: expect.stringContaining("CLOSED") });
});

const dropped = "pricing_engine_log_lines_dropped_total";

/** Starts one that logs without end, and waits until it has more to say than its pipe and its memory take. */
async function startUnread() {
  const started = start("talk");
  const { metricsPort } = await started.ready();
  await eventually(() => expect(started.output()).toContain("talking"));
  started.child.stdout?.pause();
  await eventually(async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    expect(metrics).toMatch(new RegExp(`^${dropped} [1-9]`, "m"));
  });
  return started;
}

it("hears SIGTERM when nobody reads its log any more", async () => {
  const { child } = await startUnread();
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  expect(await gone).toEqual([0, null]);
});

it("tells a reader of its log that comes back how many lines are missing", async () => {
  const { child, output } = await startUnread();
  child.stdout?.resume();
  await eventually(() => expect(output()).toMatch(/"dropped":\d+,"msg":"nobody read the log for a while"/));
});

it("works on and hears SIGTERM when the reader of its log has gone", async () => {
  const { child, ready, exited, output } = start("talk");
  const { metricsPort } = await ready();
  await eventually(() => expect(output()).toContain("talking"));
  child.stdout?.destroy();
  expect((await fetch(`http://127.0.0.1:${metricsPort}/livez`)).status).toBe(200);
  child.kill("SIGTERM");
  expect((await exited).code).toBe(0);
});

it("a second signal exits at once", async () => {
  const { child, exited, ready, output } = start("hang", 60_000);
  await ready();
  child.kill("SIGTERM");
  await eventually(() => expect(output()).toContain("shutting down"));
  child.kill("SIGINT");
  expect((await exited).code).toBe(1);
});
