import { basename } from "node:path";

/** How the tests of a tier, or of several, ended. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What failed or was skipped, a line each. */
  readonly remarks: readonly string[];
}

/** The part of vitest's JSON report that counts. */
export interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

export const emptyTally: Tally = { passed: 0, failed: 0, skipped: 0, remarks: [] };

export function addTallies(tallies: readonly Tally[]): Tally {
  return tallies.reduce(
    (sum, tally) => ({
      passed: sum.passed + tally.passed,
      failed: sum.failed + tally.failed,
      skipped: sum.skipped + tally.skipped,
      remarks: [...sum.remarks, ...tally.remarks],
    }),
    emptyTally,
  );
}

/** Counts a report. A file that failed outside of its tests (it did not load, its set-up threw) is one failure. */
export function tallyReport(report: VitestReport): Tally {
  return addTallies(
    report.testResults.map(({ name, status, assertionResults }) => {
      const count = (wanted: string): number => assertionResults.filter((result) => result.status === wanted).length;
      const [passed, failed] = [count("passed"), count("failed")];
      const fileFailed = status === "failed" && failed === 0;
      const skipped = assertionResults.filter((result) => !["passed", "failed"].includes(result.status));
      return {
        passed,
        failed: failed + (fileFailed ? 1 : 0),
        skipped: skipped.length,
        remarks: [
          ...(fileFailed ? [`failed outside of its tests: ${name}`] : []),
          ...assertionResults
            .filter((result) => result.status === "failed")
            .map((result) => `failed: ${basename(name)} > ${result.fullName}: ${firstLine(result.failureMessages)}`),
          ...skipped.map(({ fullName }) => `skipped: ${fullName}`),
        ],
      };
    }),
  );
}

// A log that is cut at its top still says at its end what failed.
function firstLine(messages: readonly string[] = []): string {
  return (messages[0]?.split("\n", 1)[0] ?? "no message").slice(0, 300);
}

/** What a tier's end says beyond its report: a green report of a program that failed, or no test at all. */
export function judgeTier(tally: Tally, end: { readonly code: number | null; readonly strict: boolean }): Tally {
  const remarks: string[] = [];
  if (end.code !== 0 && tally.failed === 0) remarks.push(`ended with code ${end.code ?? "none (killed)"}`);
  else if (tally.passed + tally.failed === 0) remarks.push("ran no test");
  if (end.strict && tally.skipped > 0) remarks.push("skips are failures here (CI is set)");
  return { ...tally, failed: tally.failed + remarks.length, remarks: [...tally.remarks, ...remarks] };
}

/** The last line of a run, which other programs read. */
export function formatTotal({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
