import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeRunner, type Runner } from "./runner.ts";
import { addTallies, emptyTally, formatTotal, judgeTier, type Tally, tallyReport, type VitestReport } from "./tally.ts";
import { findTiers, type Step, type Tier } from "./tiers.ts";

const root = join(import.meta.dirname, "..", "..");
const strict = ["1", "true"].includes(process.env.CI ?? "");

interface TierResult {
  readonly tier: Tier;
  readonly tally: Tally;
  readonly durationMs: number;
}

process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { only: { type: "string" } } });
  const all = await findTiers(root, { strict });
  const wanted = values.only?.split(",") ?? all.map(({ name }) => name);
  const unknown = wanted.filter((name) => !all.some((tier) => tier.name === name));
  if (unknown.length > 0) {
    console.error(`no tier ${unknown.join(", ")}; there are ${all.map(({ name }) => name).join(", ")}`);
    return 2;
  }

  const runner = makeRunner(root);
  const results: TierResult[] = [];
  for (const tier of all.filter(({ name }) => wanted.includes(name))) {
    console.log(`\n━━━ ${tier.name} ━━━`);
    const startedAt = performance.now();
    const tally = await runTier(tier, runner);
    results.push({ tier, tally, durationMs: performance.now() - startedAt });
    if (runner.interrupted()) break;
  }

  const total = addTallies(results.map(({ tally }) => tally));
  console.log();
  for (const result of results) console.log(describe(result));
  if (runner.interrupted()) console.log("interrupted: the tiers after this did not run");
  console.log(formatTotal(total));
  return total.failed > 0 || runner.interrupted() ? 1 : 0;
}

async function runTier(tier: Tier, runner: Runner): Promise<Tally> {
  const deadline = performance.now() + tier.timeoutMs;
  if (tier.skipped !== undefined) {
    const remarks = [`skipped: ${tier.skipped}`];
    return { ...emptyTally, skipped: 1, failed: strict ? 1 : 0, remarks };
  }
  const tallies: Tally[] = [];
  for (const step of tier.steps) {
    if (runner.interrupted()) break;
    tallies.push(await runStep(step, runner, deadline - performance.now()));
  }
  return tier.steps.length > 0 ? addTallies(tallies) : judgeTier(emptyTally, { code: 0, strict });
}

async function runStep(step: Step, runner: Runner, timeoutMs: number): Promise<Tally> {
  switch (step.kind) {
    case "command": {
      const startedAt = performance.now();
      const { code, late } = await runner.run("pnpm", step.args, timeoutMs);
      const passed = code === 0;
      const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
      console.log(`${passed ? "✓" : "✗"} ${step.name} (${seconds} s)`);
      const remarks = passed ? [] : [`${step.name} failed${late ? ": it took too long" : ""}`];
      return { ...emptyTally, passed: passed ? 1 : 0, failed: passed ? 0 : 1, remarks };
    }
    case "vitest": {
      const folder = mkdtempSync(join(tmpdir(), "pricing-engine-report-"));
      try {
        const file = join(folder, "report.json");
        const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
        const args = ["exec", "vitest", "run", "--project", step.project, ...reporters];
        const { code, late } = await runner.run("pnpm", args, timeoutMs);
        // The file is vitest's own; a run that broke down leaves none.
        const report = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as VitestReport) : undefined;
        const tally = judgeTier(report === undefined ? emptyTally : tallyReport(report), { code, strict });
        return late ? { ...tally, remarks: [...tally.remarks, "it took too long and was stopped"] } : tally;
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
    default:
      return step satisfies never;
  }
}

function describe({ tier, tally, durationMs }: TierResult): string {
  const head = `${tally.failed > 0 ? "✗" : "✓"} ${tier.name.padEnd(12)} ${formatTotal(tally)} (${(durationMs / 1_000).toFixed(1)} s)`;
  return [head, ...tally.remarks.map((remark) => `    ${remark}`)].join("\n");
}
