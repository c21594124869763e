/**
 * The prober: one for all workers, so that a processor's limit of one health call in 5 s is kept. Each processor has a loop of
 * its own; the next probe starts a whole interval after the last answer, so the processor never sees two of ours within it.
 */
import { setTimeout as delay } from "node:timers/promises";
import { judge, type ProbeResult, type ProcessorName, unknownVerdict, type Verdict } from "../core/failover.ts";
import type { FailoverPlan, ProcessorPlan } from "../core/plan.ts";

export type Verdicts = Readonly<Record<ProcessorName, Verdict>>;

export interface FailoverDeps {
  probe(processor: ProcessorPlan, signal: AbortSignal): Promise<ProbeResult>;
  nowMs(): number;
  /** After every probe that said something. */
  onVerdict(name: ProcessorName, before: Verdict, after: Verdict): void;
}

export interface Failover {
  /** Probes what the plan says from now on. A processor whose address changed is unknown again. */
  apply(plan: FailoverPlan | undefined): void;
  /** Undefined while nothing is to be probed. */
  verdicts(): Verdicts | undefined;
  close(): Promise<void>;
}

export function makeFailover(deps: FailoverDeps): Failover {
  let current: FailoverPlan | undefined;
  let verdicts: Record<ProcessorName, Verdict> | undefined;
  let stopping = new AbortController();
  let running: Promise<unknown> = Promise.resolve();

  async function follow(plan: FailoverPlan, processor: ProcessorPlan, signal: AbortSignal): Promise<void> {
    const { name } = processor;
    while (!signal.aborted) {
      const probe = await deps.probe(processor, signal);
      const before = verdicts?.[name];
      if (signal.aborted || verdicts === undefined || before === undefined) return;
      const after = judge(before, probe, plan, deps.nowMs());
      verdicts[name] = after;
      if (probe.kind !== "too_soon") deps.onVerdict(name, before, after);
      await delay(plan.probeIntervalMs, undefined, { signal }).catch(() => undefined);
    }
  }

  return {
    apply(plan) {
      if (JSON.stringify(plan) === JSON.stringify(current)) return;
      stopping.abort();
      stopping = new AbortController();
      const { signal } = stopping;
      const isSame = (name: ProcessorName) => JSON.stringify(find(plan, name)) === JSON.stringify(find(current, name));
      const keep = (name: ProcessorName) => {
        const known = isSame(name) ? verdicts?.[name] : undefined;
        return known ?? unknownVerdict(deps.nowMs());
      };
      verdicts = plan === undefined ? undefined : { default: keep("default"), fallback: keep("fallback") };
      current = plan;
      const before = running;
      if (plan === undefined || plan.paused) return;
      running = Promise.all([before, ...plan.processors.map((processor) => follow(plan, processor, signal))]);
    },
    verdicts: () => verdicts,
    async close() {
      stopping.abort();
      await running;
    },
  };
}

function find(plan: FailoverPlan | undefined, name: ProcessorName): ProcessorPlan | undefined {
  return plan?.processors.find((processor) => processor.name === name);
}
