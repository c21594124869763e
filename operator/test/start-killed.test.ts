import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually, infra, makeTestDatabase, makeTestEngine, type TestDatabase } from "@pricing-engine/testkit";
import getPort from "get-port";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findStartTime } from "../src/runtime/local/process-identity.ts";

const bootstrap = fileURLToPath(new URL("../../hack/bootstrap/main.mjs", import.meta.url));
const engine = makeTestEngine();
let dir: string;
let database: TestDatabase;
let args: readonly string[];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "pe-start-"));
  database = await makeTestDatabase();
  // Redis is left to the start itself: its servers must end, too.
  const resource = `apiVersion: v1
kind: Secret
metadata: { name: db }
stringData: { url: ${JSON.stringify(database.url)} }
---
apiVersion: pricing-engine.dev/v1alpha1
kind: PricingEngine
metadata: { name: ${engine.name}, namespace: ${engine.namespace} }
spec:
  kafka: { brokers: [${JSON.stringify(infra().kafkaBrokers)}], topics: { partitions: 3 } }
  postgres: { primary: { secretRef: { name: db } }, poolSize: 4 }
  gateway: { auth: none }
  pricing: {}
`;
  const file = join(dir, "engine.yaml");
  await writeFile(file, resource);
  const places = ["--state-dir", join(dir, "state"), "--infra-dir", join(dir, "infra")];
  args = ["-f", file, "--port", String(await getPort()), "--no-demo", ...places];
});

afterAll(async () => {
  await ended(run("stop", args.slice(4)));
  await database[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

function run(command: string, options: readonly string[]): ChildProcess & { text(): string } {
  const child = spawn(process.execPath, [bootstrap, command, ...options], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  return Object.assign(child, { text: () => output });
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once("exit", resolve));
}

interface Identity {
  readonly pid: number;
  readonly startTime: string;
}

/** All that a start has running so far: the operator, its processes, its servers. */
function findRunning(): Identity[] {
  const files = [join(dir, "state", "operator.json"), join(dir, "state", "children.json")];
  const infraDir = join(dir, "infra");
  if (existsSync(infraDir)) {
    for (const name of readdirSync(infraDir)) if (name.endsWith(".pid")) files.push(join(infraDir, name));
  }
  const pids = files.flatMap((file) => {
    if (!existsSync(file)) return [];
    const found = JSON.parse(readFileSync(file, "utf8")) as { pid: number } | { pid: number }[];
    return [found].flat().map(({ pid }) => pid);
  });
  return pids.flatMap((pid) => {
    const startTime = findStartTime(pid);
    return startTime === undefined ? [] : [{ pid, startTime }];
  });
}

test.each([
  ["SIGKILL", "a process of ours runs", 3],
  ["SIGINT", "a process of ours runs", 3],
  ["SIGKILL", "a server of ours runs", 2],
] as const)(
  "a start that gets %s once %s leaves nothing running",
  async (signal, _when, count) => {
    const child = run("start", args);
    const running = await eventually(
      () => {
        const found = findRunning();
        if (found.length < count) throw new Error(`only ${found.length} run:\n${child.text()}`);
        return found;
      },
      { timeoutMs: 60_000, intervalMs: 5 },
    );
    expect(child.text()).not.toContain("is up");
    child.kill(signal);
    // What was begun in that moment, too.
    await eventually(
      () => {
        const left = [...running.filter(({ pid, startTime }) => findStartTime(pid) === startTime), ...findRunning()];
        expect(left).toEqual([]);
      },
      { timeoutMs: 60_000 },
    );
  },
  180_000,
);

test("the next start works", async () => {
  const child = run("start", [...args, "--detach"]);
  expect(await ended(child)).toBe(0);
  expect(child.text()).toContain("is up");
}, 180_000);
