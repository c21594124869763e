import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const memory = new URL("./memory.ts", import.meta.url).href;

/** Megabytes that a process of its own still has of those that it left behind, 3 s later. */
async function leftOver(releaseOften: string): Promise<number> {
  const script = `
    import { releaseMemory, releaseMemoryOften } from ${JSON.stringify(memory)};
    import { setTimeout as delay } from "node:timers/promises";
    releaseMemory();
    ${releaseOften}
    const before = process.memoryUsage.rss();
    let kept = Array.from({ length: 400_000 }, (_, index) => ({ index, text: String(index) + "x" }));
    const most = process.memoryUsage.rss();
    kept = undefined;
    await delay(3_000);
    console.log(JSON.stringify([(most - before) / 1e6, (process.memoryUsage.rss() - before) / 1e6]));
    process.exit(0);`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
  const [most = 0, left = 0] = JSON.parse(stdout) as number[];
  expect(most).toBeGreaterThan(25);
  return left / most;
}

it("gives back what was left behind as soon as the process has grown by so much, and not before", async () => {
  const release = (grownBytes: number) => `releaseMemoryOften({ everyMs: 60_000, grownBytes: ${grownBytes} });`;
  const [small, large] = await Promise.all([leftOver(release(8_000_000)), leftOver(release(1_000_000_000))]);
  expect(small).toBeLessThan(0.3);
  expect(large).toBeGreaterThan(0.7);
}, 30_000);

it("gives it back after so long, however little it is", async () => {
  expect(await leftOver("releaseMemoryOften({ everyMs: 1_000, grownBytes: 1_000_000_000 });")).toBeLessThan(0.3);
}, 30_000);
