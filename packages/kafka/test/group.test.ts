import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually, infra } from "@pricing-engine/testkit";
import { describe, expect, it } from "vitest";
import { type Bench, isRunning, makeBench, makeLatch, numberOf } from "./support/bench.ts";

interface Zombie extends AsyncDisposable {
  child: ChildProcess;
  lines(): string[];
  output(): string;
}

function startZombie(bench: Bench, handlerMs: number): Zombie {
  const folder = mkdtempSync(join(tmpdir(), "pricing-engine-zombie-"));
  const journal = join(folder, "journal");
  const child = spawn(process.execPath, [fileURLToPath(new URL("./support/zombie.ts", import.meta.url))], {
    env: {
      PATH: process.env.PATH,
      KAFKA_BROKERS: infra().kafkaBrokers,
      TOPIC: bench.topic,
      GROUP: bench.groupId,
      JOURNAL: journal,
      HANDLER_MS: String(handlerMs),
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const exited = once(child, "exit");
  return {
    child,
    lines: () => (existsSync(journal) ? readFileSync(journal, "utf8").trimEnd().split("\n") : []),
    output: () => output,
    async [Symbol.asyncDispose]() {
      child.kill("SIGCONT");
      child.kill("SIGKILL");
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function committedOf({ admin, groupId, topic }: Bench): Promise<bigint[]> {
  const { partitions } = await admin.groupLag(groupId, [topic]);
  return partitions.toSorted((a, b) => a.partition - b.partition).map(({ committed = 0n }) => committed);
}

describe("consumer group on a real broker", () => {
  it("loses and skips nothing when members come and go during handlers", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 4 });
    const handled = new Map<number, number>();
    const handle = async (message: Parameters<typeof numberOf>[0]) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      const value = numberOf(message);
      handled.set(value, (handled.get(value) ?? 0) + 1);
    };
    const first = bench.consume({ handle, concurrency: 4 });
    await isRunning(first, 4);
    await bench.publish(600, 40);
    await eventually(() => expect(handled.size).toBeGreaterThan(20));
    const second = bench.consume({ handle, concurrency: 4 });
    await isRunning(second, 2);
    await isRunning(first, 2);
    const third = bench.consume({ handle, concurrency: 4 });
    await isRunning(third);
    await second.stop();
    await bench.publish(200, 40);
    await eventually(async () => expect(await bench.lag()).toBe(0), { timeoutMs: 20_000 });
    expect([...handled.keys()].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 600 }, (_, index) => index));
  });

  it("does not start again what is in hand when the same member keeps its partition", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 2 });
    const latch = makeLatch();
    const begun: number[] = [];
    const handle = async (message: Parameters<typeof numberOf>[0]) => {
      begun.push(numberOf(message));
      await latch.opened;
    };
    const first = bench.consume({ handle });
    await isRunning(first, 2);
    await bench.publish(6);
    await eventually(() => expect(begun).toHaveLength(6));
    // A member of another subscription takes no partition of this topic, but everybody joins again.
    const other = bench.consume({ handle, topics: [`${bench.topic}.worker.dlq`], retry: { attempts: 1 } });
    await eventually(() => expect(other.health().state).toBe("running"));
    await isRunning(first, 2);
    latch.open();
    await eventually(async () => expect(await bench.lag()).toBe(0));
    expect(begun).toHaveLength(6);
  });

  it("a zombie that wakes up neither moves the group back nor undoes a commit", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 2 });
    await using zombie = startZombie(bench, 400);
    await bench.publish(40);
    // In the middle of its work: some committed, some in hand.
    await eventually(() => expect(zombie.lines().filter((line) => line.startsWith("end")).length).toBeGreaterThan(5));
    zombie.child.kill("SIGSTOP");
    const seen: number[] = [];
    const heir = bench.consume({ handle: async (message) => void seen.push(numberOf(message)) });
    await isRunning(heir, 2);
    await eventually(async () => expect(await bench.lag()).toBe(0));
    const reached = await committedOf(bench);
    const before = zombie.lines().length;
    zombie.child.kill("SIGCONT");
    const observed: bigint[][] = [];
    await eventually(
      async () => {
        observed.push(await committedOf(bench));
        const since = zombie.lines().slice(before);
        // It finished what it had in hand, and it is a member again.
        expect(since.some((line) => line.startsWith("end"))).toBe(true);
        // Assigned one of topic and one of retry partitions: the partition that it had in hand is its own once more.
        expect(since.filter((line) => line === "state running 2").length).toBeGreaterThan(10);
        expect(heir.health().state).toBe("running");
      },
      { timeoutMs: 20_000 },
    );
    await bench.publish(10);
    await eventually(async () => expect(await bench.lag()).toBe(0), { timeoutMs: 20_000 });
    for (const offsets of observed) {
      for (const [partition, offset] of offsets.entries())
        expect(offset).toBeGreaterThanOrEqual(reached[partition] ?? 0n);
    }
    expect(zombie.output()).not.toContain("Warning");
  });

  it("hands over the work of a member that was killed", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 2 });
    const killed = startZombie(bench, 200);
    await bench.publish(30);
    await eventually(() => expect(killed.lines().filter((line) => line.startsWith("end")).length).toBeGreaterThan(3));
    const done = new Set(killed.lines().flatMap((line) => (line.startsWith("end ") ? [line.slice(4)] : [])));
    await killed[Symbol.asyncDispose]();
    bench.consume({ handle: async ({ partition, offset }) => void done.add(`${partition}/${offset}`) });
    await eventually(async () => expect(await bench.lag()).toBe(0), { timeoutMs: 20_000 });
    expect(done.size).toBe(30);
  });
});
