import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A command that is one test, or a vitest project that reports its own. */
export type Step =
  | { readonly kind: "command"; readonly name: string; readonly args: readonly string[] }
  | { readonly kind: "vitest"; readonly project: string };

export interface Tier {
  readonly name: string;
  readonly timeoutMs: number;
  readonly steps: readonly Step[];
}

const minuteMs = 60_000;

/** In the order in which they run: the cheap ones first. */
export function findTiers(root: string): Tier[] {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const checks = Object.keys(scripts).filter((name) => name.startsWith("check:"));
  const vitest = (project: string, timeoutMs: number): Tier => ({
    name: project,
    timeoutMs,
    steps: [{ kind: "vitest", project }],
  });
  return [
    {
      name: "check",
      timeoutMs: 10 * minuteMs,
      steps: checks.map((name) => ({ kind: "command", name, args: ["run", "--silent", name] })),
    },
    vitest("unit", 5 * minuteMs),
    vitest("sim", 10 * minuteMs),
    vitest("integration", 30 * minuteMs),
  ];
}
