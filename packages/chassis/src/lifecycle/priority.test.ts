import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";

const entry = new URL("./priority.ts", import.meta.url).href;

/** Of each thread, in a process of its own: a priority that was lowered stays so. */
function prioritiesAfter(before: number): number[] {
  const code = `import { readdirSync } from "node:fs"; import { getPriority, setPriority } from "node:os";
    import { runInBackground } from ${JSON.stringify(entry)};
    const threads = () => readdirSync("/proc/self/task").map(Number);
    for (const id of threads()) setPriority(id, ${before});
    runInBackground(); console.log(threads().map((id) => getPriority(id)).join(" "));`;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
  return output.trim().split(" ").map(Number);
}

describe.runIf(process.platform === "linux")("runInBackground", () => {
  it("lowers the priority of every thread", () => {
    const priorities = prioritiesAfter(0);
    expect(priorities.length).toBeGreaterThan(1);
    expect(new Set(priorities)).toEqual(new Set([10]));
  });

  it("leaves one alone that is lower", () => expect(new Set(prioritiesAfter(15))).toEqual(new Set([15])));
});
