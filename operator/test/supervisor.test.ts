import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually } from "@pricing-engine/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { endLeftovers, makeChildRecords } from "../src/runtime/local/child-records.ts";
import { defaultTiming, type ProcessSpec } from "../src/runtime/local/managed-process.ts";
import { findStartTime } from "../src/runtime/local/process-identity.ts";
import { makeSupervisor, type Supervisor } from "../src/runtime/local/supervisor.ts";

const entry = fileURLToPath(new URL("./fixtures/child.ts", import.meta.url));
const supervising = fileURLToPath(new URL("./fixtures/supervising.ts", import.meta.url));
let dir: string;
let lines: string[];
let supervisor: Supervisor;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "pe-supervisor-"));
  lines = [];
  supervisor = makeSupervisor({
    records: makeChildRecords(join(dir, "children.json")),
    timing: { probeEveryMs: 50, graceMs: 200, restart: { ...defaultTiming.restart, baseMs: 20, maxMs: 80 } },
    onLine: (name, line) => lines.push(`${name} ${line}`),
  });
});

afterEach(async () => {
  await supervisor.kill();
  await rm(dir, { recursive: true, force: true });
});

function child(name: string, mode: string, podHash = "1"): ProcessSpec {
  const readyFile = join(dir, `${name}.json`);
  return { name, role: name.replace(/-\d+$/, ""), entry, args: [mode], env: {}, readyFile, podHash };
}

const find = (name: string) => supervisor.list().find((process) => process.name === name);
const isReady = (name: string) => eventually(() => expect(find(name)?.state).toBe("ready"), { timeoutMs: 60_000 });

test("a process that is killed comes back, and counts the restart", async () => {
  supervisor.apply([child("worker-1", "ready")]);
  await isReady("worker-1");
  const pid = find("worker-1")?.pid ?? 0;
  process.kill(pid, "SIGKILL");
  await eventually(() => expect(find("worker-1")).toMatchObject({ state: "ready", restarts: 1 }), {
    timeoutMs: 60_000,
  });
  expect(find("worker-1")?.pid).not.toBe(pid);
});

test("a crash loop is named, with the last lines of the process", async () => {
  supervisor.apply([child("worker-1", "crash")]);
  await eventually(
    () => {
      expect(find("worker-1")?.reason).toMatch(/^crash loop, \d+ times in a row: exited with code 3; next start in/);
      expect(find("worker-1")?.lastLog).toContain("the reason of the crash");
    },
    { timeoutMs: 60_000 },
  );
});

test("readiness follows /readyz and names the part that is not ready", async () => {
  supervisor.apply([child("worker-1", "ready")]);
  await isReady("worker-1");
  await fetch(`http://127.0.0.1:${find("worker-1")?.metricsPort}/toggle`);
  await eventually(() => expect(find("worker-1")).toMatchObject({ state: "unready", restarts: 0 }), {
    timeoutMs: 60_000,
  });
  expect(find("worker-1")?.reason).toContain("kafka is away");
  await fetch(`http://127.0.0.1:${find("worker-1")?.metricsPort}/toggle`);
  await isReady("worker-1");
});

test("a changed pod hash replaces the processes of a role one after another", async () => {
  const copies = (hash: string) => [child("worker-1", "ready", hash), child("worker-2", "ready", hash)];
  supervisor.apply(copies("1"));
  await Promise.all([isReady("worker-1"), isReady("worker-2")]);
  const before = supervisor.list().map((process) => process.pid);
  const seen: number[] = [];
  const abort = new AbortController();
  const watching = (async () => {
    while (!abort.signal.aborted) {
      seen.push(supervisor.list().filter((process) => process.state === "ready").length);
      await supervisor.changed(abort.signal);
    }
  })();
  supervisor.apply(copies("2"));
  await eventually(
    () => {
      const now = supervisor.list();
      expect(now.map((process) => process.state)).toEqual(["ready", "ready"]);
      expect(now.every((process) => !before.includes(process.pid))).toBe(true);
    },
    { timeoutMs: 60_000 },
  );
  abort.abort();
  await watching;
  expect(Math.min(...seen)).toBe(1);
});

test("a process taken off the list is stopped, a stubborn one by force", async () => {
  supervisor.apply([child("worker-1", "ready"), child("stubborn-1", "stubborn")]);
  await Promise.all([isReady("worker-1"), isReady("stubborn-1")]);
  const pids = supervisor.list().map((process) => process.pid ?? 0);
  supervisor.apply([]);
  await eventually(() => expect(supervisor.list()).toEqual([]), { timeoutMs: 60_000 });
  expect(pids.map(findStartTime)).toEqual([undefined, undefined]);
  expect(JSON.parse(await readFile(join(dir, "children.json"), "utf8"))).toEqual([]);
});

test("fewer keeps the first ones as they are; one that waits for its restart goes without one, and more start again", async () => {
  const copies = [child("worker-1", "ready"), child("worker-2", "ready"), child("worker-3", "crash")];
  supervisor.apply(copies);
  await Promise.all([isReady("worker-1"), isReady("worker-2")]);
  await eventually(() => expect(find("worker-3")?.restarts).toBeGreaterThan(0), { timeoutMs: 60_000 });
  const [first, second] = supervisor.list().map(({ pid }) => pid);
  supervisor.apply(copies.slice(0, 2));
  await eventually(() => expect(supervisor.list().map(({ pid }) => pid)).toEqual([first, second]), {
    timeoutMs: 60_000,
  });
  supervisor.apply(copies.slice(0, 1));
  // At once, while the one before of its name still winds down.
  supervisor.apply(copies.slice(0, 2));
  await eventually(
    () => {
      const now = supervisor.list();
      expect(now.map(({ name, state, restarts }) => [name, state, restarts])).toEqual([
        ["worker-1", "ready", 0],
        ["worker-2", "ready", 0],
      ]);
      expect(now.map(({ pid }) => pid === first)).toEqual([true, false]);
      expect(now[1]?.pid).not.toBe(second);
    },
    { timeoutMs: 60_000 },
  );
});

async function startSupervising(modes: readonly string[]) {
  const parent = spawn(process.execPath, [supervising, dir, ...modes], { stdio: ["ignore", "pipe", "inherit"] });
  const [chunk] = (await once(parent.stdout, "data")) as [Buffer];
  return { parent, pids: JSON.parse(chunk.toString()) as number[] };
}

test("kill -9 of the supervisor leaves no orphans", async () => {
  const { parent, pids } = await startSupervising(["ready", "ready", "stubborn"]);
  expect(pids.map((pid) => findStartTime(pid) !== undefined)).toEqual([true, true, true]);
  parent.kill("SIGKILL");
  await eventually(() => expect(pids.map(findStartTime)).toEqual([undefined, undefined, undefined]), {
    timeoutMs: 60_000,
  });
});

test("the next start ends a child that could not follow its supervisor, and nobody else", async () => {
  const { parent, pids } = await startSupervising(["ready"]);
  const [pid = 0] = pids;
  // Stopped: it cannot see the end of its supervisor.
  process.kill(pid, "SIGSTOP");
  parent.kill("SIGKILL");
  await once(parent, "close");
  expect(findStartTime(pid)).toBeDefined();
  expect(await endLeftovers(join(dir, "children.json"), 100)).toEqual(["child-0"]);
  expect(findStartTime(pid)).toBeUndefined();
  expect(await endLeftovers(join(dir, "children.json"), 100)).toEqual([]);
});
