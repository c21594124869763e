import { describe, expect, it } from "vitest";
import { addTallies, emptyTally, formatTotal, judgeTier, tallyReport } from "./tally.ts";

const file = (status: string, ...statuses: string[]) => ({
  name: "a.test.ts",
  status,
  assertionResults: statuses.map((result, index) => ({ status: result, fullName: `test ${index}` })),
});

describe("tallyReport", () => {
  it("counts each way that a test can end", () => {
    const report = { testResults: [file("failed", "passed", "failed", "pending", "todo"), file("passed", "passed")] };
    expect(tallyReport(report)).toEqual({
      passed: 2,
      failed: 1,
      skipped: 2,
      remarks: ["failed: a.test.ts > test 1: no message", "skipped: test 2", "skipped: test 3"],
    });
  });

  it("names what failed, with the first line of why", () => {
    const failed = { status: "failed", fullName: "a sum", failureMessages: ["Error: 1 is not 2\n    at here"] };
    const report = { testResults: [{ name: "/src/a.test.ts", status: "failed", assertionResults: [failed] }] };
    expect(tallyReport(report).remarks).toEqual(["failed: a.test.ts > a sum: Error: 1 is not 2"]);
  });

  it("counts a file that did not load as a failure", () => {
    expect(tallyReport({ testResults: [file("failed")] })).toMatchObject({ passed: 0, failed: 1 });
  });

  it("counts a failed set-up as a failure, beside the tests it skipped", () => {
    expect(tallyReport({ testResults: [file("failed", "skipped")] })).toMatchObject({ failed: 1, skipped: 1 });
  });
});

describe("judgeTier", () => {
  const green = { passed: 3, failed: 0, skipped: 0, remarks: [] };
  it.each([
    ["green", green, { code: 0, strict: true }, 0],
    ["a green report but a bad exit", green, { code: 1, strict: false }, 1],
    ["killed", green, { code: null, strict: false }, 1],
    ["failures, counted once", { ...green, failed: 2 }, { code: 1, strict: false }, 2],
    ["no tests", emptyTally, { code: 0, strict: false }, 1],
    ["no tests and a bad exit, counted once", emptyTally, { code: 1, strict: false }, 1],
    ["skips", { ...green, skipped: 1 }, { code: 0, strict: false }, 0],
    ["skips in CI", { ...green, skipped: 1 }, { code: 0, strict: true }, 1],
  ])("%s", (_name, tally, end, failed) => {
    expect(judgeTier(tally, end).failed).toBe(failed);
  });
});

it.each([
  [{ ...emptyTally, passed: 12 }, "12 passed, 0 failed"],
  [{ ...emptyTally, passed: 1, failed: 2, skipped: 3 }, "1 passed, 2 failed, 3 skipped"],
])("formats the last line", (tally, line) => {
  expect(formatTotal(addTallies([tally, emptyTally]))).toBe(line);
});
