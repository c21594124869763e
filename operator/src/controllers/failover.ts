/**
 * The prober: one for all workers, so that a processor's limit of one health call in 5 s is kept. Each processor has a loop of
 * its own; the next probe starts a whole interval after the last answer, so the processor never sees two of ours within it.
 */
import { atAge, judge, type ProbeResult, type ProcessorName, unknownVerdict, type Verdict } from "../core/failover.ts";
import type { FailoverPlan, ProcessorPlan } from "../core/plan.ts";
import { sleep } from "./sleep.ts";

export type Verdicts = Readonly<Record<ProcessorName, Verdict>>;

export interface FailoverDeps {
  probe(processor: ProcessorPlan, signal: AbortSignal): Promise<ProbeResult>;
  nowMs(): number;
  /** What a verdict ages by, as it does for workers: a clock that is set right makes none older. */
  monotonicMs(): number;
  /** After every probe that said something. */
  onVerdict(name: ProcessorName, before: Verdict, after: Verdict): void;
  /** When a verdict grew too old to count, and nothing else happened. */
  onExpired(name: ProcessorName, before: Verdict, after: Verdict): void;
}

export interface Failover {
  /** Probes what the plan says from now on. A processor whose address changed is unknown again. */
  apply(plan: FailoverPlan | undefined): void;
  /** As they count now. Undefined while nothing is to be probed. */
  verdicts(): Verdicts | undefined;
  /** As they were when something was last heard: what workers are told, who see for themselves how old it is. */
  heard(): Verdicts | undefined;
  close(): Promise<void>;
}

interface Heard {
  readonly verdict: Verdict;
  readonly atMs: number;
}

const processorNames = ["default", "fallback"] as const;
/** What is longer would be over at once. */
const longestTimerMs = 2 ** 31 - 1;

export function makeFailover(deps: FailoverDeps): Failover {
  let current: FailoverPlan | undefined;
  let heard: Record<ProcessorName, Heard> | undefined;
  let stopping = new AbortController();
  let running: Promise<unknown> = Promise.resolve();
  const expiries = new Map<ProcessorName, NodeJS.Timeout>();

  function asOfNow({ atMs, verdict }: Heard, { maxVerdictAgeMs }: FailoverPlan): Verdict {
    return atAge(verdict, deps.monotonicMs() - atMs, maxVerdictAgeMs);
  }

  async function follow(plan: FailoverPlan, processor: ProcessorPlan, signal: AbortSignal): Promise<void> {
    const { name } = processor;
    while (!signal.aborted) {
      // An age that is barely longer than the interval may end while an answer is awaited: thresholds count on all the same.
      const asked = heard && asOfNow(heard[name], plan);
      const probe = await deps.probe(processor, signal);
      if (signal.aborted || heard === undefined || asked === undefined) return;
      if (probe.kind !== "too_soon") {
        const before = asOfNow(heard[name], plan);
        const after = judge(asked, probe, plan, deps.nowMs());
        heard[name] = { verdict: after, atMs: deps.monotonicMs() };
        awaitExpiry(name);
        deps.onVerdict(name, before, after);
      }
      await sleep(plan.probeIntervalMs, signal);
    }
  }

  function awaitExpiry(name: ProcessorName): void {
    clearTimeout(expiries.get(name));
    if (current === undefined || heard === undefined) return;
    const [plan, known] = [current, heard[name]];
    if (asOfNow(known, plan).state === "Unknown") return;
    const leftMs = known.atMs + plan.maxVerdictAgeMs - deps.monotonicMs();
    const look = () => {
      const seen = asOfNow(known, plan);
      if (seen.isExpired) deps.onExpired(name, known.verdict, seen);
      else awaitExpiry(name);
    };
    // At its greatest age it still counts.
    expiries.set(name, setTimeout(look, Math.min(leftMs + 1, longestTimerMs)));
  }

  const mapHeard = (pick: (known: Heard, plan: FailoverPlan) => Verdict): Verdicts | undefined =>
    current && heard && { default: pick(heard.default, current), fallback: pick(heard.fallback, current) };

  return {
    apply(plan) {
      if (JSON.stringify(plan) === JSON.stringify(current)) return;
      stopping.abort();
      stopping = new AbortController();
      const { signal } = stopping;
      const isSame = (name: ProcessorName) => JSON.stringify(find(plan, name)) === JSON.stringify(find(current, name));
      const keep = (name: ProcessorName): Heard => {
        const known = isSame(name) ? heard?.[name] : undefined;
        return known ?? { verdict: unknownVerdict(deps.nowMs()), atMs: deps.monotonicMs() };
      };
      heard = plan === undefined ? undefined : { default: keep("default"), fallback: keep("fallback") };
      current = plan;
      for (const name of processorNames) awaitExpiry(name);
      const before = running;
      if (plan === undefined || plan.paused) return;
      running = Promise.all([before, ...plan.processors.map((processor) => follow(plan, processor, signal))]);
    },
    verdicts: () => mapHeard(asOfNow),
    heard: () => mapHeard(({ verdict }) => verdict),
    async close() {
      stopping.abort();
      for (const timer of expiries.values()) clearTimeout(timer);
      await running;
    },
  };
}

function find(plan: FailoverPlan | undefined, name: ProcessorName): ProcessorPlan | undefined {
  return plan?.processors.find((processor) => processor.name === name);
}
