import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Gives back what a burst left behind, such as loading the modules: some 150 MB that V8 would keep for a heap that has grown once,
 * where a service at work needs 30. Costs one collection of about 50 ms, so it is for a moment when nobody waits.
 */
export function releaseMemory(): void {
  collect ??= findCollector();
  collect?.({ type: "major", execution: "sync", flavor: "last-resort" });
}

/**
 * {@link releaseMemory} every `everyMs`, and at once when the process has grown by `grownBytes` since: what a burst leaves behind does not
 * pile up while the burst goes on. Looks every second. For a process that nobody waits for. Returns what ends it.
 */
export function releaseMemoryOften({ everyMs, grownBytes }: { everyMs: number; grownBytes: number }): () => void {
  const release = () => {
    releaseMemory();
    return { atMs: performance.now(), bytes: process.memoryUsage.rss() };
  };
  let last = { atMs: performance.now(), bytes: process.memoryUsage.rss() };
  const timer = setInterval(() => {
    const isGrown = process.memoryUsage.rss() - last.bytes >= grownBytes;
    if (isGrown || performance.now() - last.atMs >= everyMs) last = release();
  }, 1_000);
  return () => clearInterval(timer);
}

let collect: ((options: object) => void) | undefined;

/** Of V8, which has it for a context that is made after the flag. */
function findCollector(): typeof collect {
  setFlagsFromString("--expose-gc");
  const found: unknown = runInNewContext("gc");
  return typeof found === "function" ? (options) => void found(options) : undefined;
}

/**
 * The old generation is collected when it is this much larger than what lives, percent; V8 by itself waits until it is up to
 * four times as large. No limit: what lives may grow as before.
 */
const heapGrowthPercent = 30;

/**
 * How garbage is collected in a small heap on few cores. The young generation is so small that one thread is done with it in a
 * millisecond; with helpers it waits until each of them was given a core, which on a busy machine took ten. NODE_OPTIONS refuses
 * both, so a process says them itself (docs/decisions/0008).
 */
export function tuneCollector(): void {
  setFlagsFromString(`--heap-growing-percent=${heapGrowthPercent}`);
  setFlagsFromString("--no-parallel-scavenge");
}
