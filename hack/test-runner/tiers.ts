import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findAssets, howToGetAssets } from "../envtest/assets.ts";
import { tryExec } from "../infra/exec.ts";
import { findProgram } from "../infra/programs.ts";

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
export async function findTiers(root: string, { strict }: { readonly strict: boolean }): Promise<Tier[]> {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const checks = Object.keys(scripts).filter((name) => name.startsWith("check:"));
  const vitest = (project: string, timeoutMs: number, skipped?: string): Tier => ({
    name: project,
    timeoutMs,
    steps: skipped === undefined ? [{ kind: "vitest", project }] : [],
    ...(skipped === undefined ? {} : { skipped }),
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
    vitest("timed", 10 * minuteMs),
    vitest("charts", 5 * minuteMs, whyNoHelm()),
    operatorTier(strict),
    vitest("cluster", 40 * minuteMs, await whyNoCluster()),
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

function whyNoHelm(): string | undefined {
  const named = process.env.HELM ?? "";
  return named !== "" || findProgram("helm") !== undefined ? undefined : "helm is not installed: https://helm.sh";
}

/** Clusters are made with what a user of the README has. */
async function whyNoCluster(): Promise<string | undefined> {
  const lacking = ["docker", "kind", "kubectl", "helm"].filter((name) => findProgram(name) === undefined);
  if (lacking.length > 0)
    return `${lacking.join(", ")} not installed: a cluster is made with Docker, kind, kubectl and helm`;
  const { code } = await tryExec("docker", ["info"], { timeoutMs: 30_000 });
  return code === 0 ? undefined : "Docker does not answer: `docker info` says why";
}
