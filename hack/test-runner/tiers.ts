import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findAssets, howToGetAssets } from "../envtest/assets.ts";

/** A command that is one test, or a vitest project that reports its own. */
export type Step =
  | { readonly kind: "command"; readonly name: string; readonly args: readonly string[] }
  | { readonly kind: "vitest"; readonly project: string };

export interface Tier {
  readonly name: string;
  readonly timeoutMs: number;
  readonly steps: readonly Step[];
  /** Why it cannot run here: it counts as one skipped test. */
  readonly skipped?: string;
}

const minuteMs = 60_000;

/** In the order in which they run: the cheap ones first. */
export function findTiers(root: string, { strict }: { readonly strict: boolean }): Tier[] {
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
    operatorTier(strict),
  ];
}

/** Where nothing may be skipped, what it runs on is built, which takes minutes and needs Go. */
function operatorTier(strict: boolean): Tier {
  const vitest: Step = { kind: "vitest", project: "operator" };
  const build: Step = {
    kind: "command",
    name: "kube-apiserver and etcd",
    args: ["exec", "node", "hack/envtest/main.ts"],
  };
  const tier = { name: "operator", timeoutMs: 15 * minuteMs };
  if (findAssets() !== undefined) return { ...tier, steps: [vitest] };
  if (strict) return { ...tier, timeoutMs: 40 * minuteMs, steps: [build, vitest] };
  return { ...tier, steps: [], skipped: howToGetAssets };
}
