import type { PaymentSettings, ProcessorVerdict } from "@pricing-engine/contracts";
import {
  type Breaker,
  defaultBreaker,
  makeBreaker,
  mayProbe,
  onAnswer,
  onGoodNews,
  onProbe,
  onProbeUnused,
} from "../domain/breaker.ts";
import { capacityPerSecond, defaultInFlight, type InFlight, makeInFlight, onWindow } from "../domain/in-flight.ts";
import type { Outcome } from "../domain/outcome.ts";
import { type ProcessorName, processorNames } from "../domain/processor.ts";
import { chooseRoute, type ProcessorView, type RouteDecision } from "../domain/route.ts";
import type { Clock, Slot, Traffic } from "./ports.ts";

/** What waits beyond this process: in Kafka and in the table. */
export type Backlog = { payments: number; arrivalPerSecond: number; oldestAcceptedAtMs: number | null };

export type TrafficState = {
  route: RouteDecision;
  processors: Record<ProcessorName, ProcessorView & { running: number; limit: number; breaker: Breaker["state"] }>;
  /** Of those in the table or waiting for a slot here; 0: none waits. */
  oldestWaitMs: number;
};

export type TrafficControl = Traffic & {
  setSettings(settings: PaymentSettings): void;
  setBacklog(backlog: Backlog): void;
  /** Every `tickMs`: windows end, time passes for whoever waits. */
  tick(): void;
  state(): TrafficState;
  /** Payments that wait for a slot in this process. */
  waiting(): number;
};

export const tickMs = 50;
const idleAfterMs = 3_000;

type Side = {
  inFlight: InFlight;
  breaker: Breaker;
  running: number;
  /** Sum of the start times of the calls that run: their mean age tells of a slowness that no answer has told of yet. */
  startedSumMs: number;
  answers: number;
  latencySumMs: number;
  busy: boolean;
  overloaded: boolean;
  lastAnswerMs: number;
  verdict: ProcessorVerdict;
  verdictSeenMs: number;
};

type Waiter = { max: number; oldestAcceptedAtMs: number; resolve(slots: Slot[]): void };

/** The route, the breakers and the calls in flight of one process, around the pure functions that decide. */
export function makeTraffic({ clock, settings: initial }: { clock: Clock; settings: PaymentSettings }): TrafficControl {
  let settings = initial;
  let backlog: Backlog = { payments: 0, arrivalPerSecond: 0, oldestAcceptedAtMs: null };
  const waiters: Waiter[] = [];
  const startOf = new WeakMap<Slot, number>();
  const makeSide = (verdict: ProcessorVerdict): Side => ({
    inFlight: makeInFlight(),
    breaker: makeBreaker(),
    running: 0,
    startedSumMs: 0,
    answers: 0,
    latencySumMs: 0,
    busy: false,
    overloaded: false,
    lastAnswerMs: Number.NEGATIVE_INFINITY,
    verdict,
    verdictSeenMs: clock.monotonicMs(),
  });
  const sides: Record<ProcessorName, Side> = {
    default: makeSide(initial.verdicts.default),
    fallback: makeSide(initial.verdicts.fallback),
  };

  const freshVerdict = ({ verdict, verdictSeenMs }: Side): ProcessorVerdict | undefined =>
    verdict.checkedAtMs > 0 && clock.monotonicMs() - verdictSeenMs <= settings.maxVerdictAgeMs ? verdict : undefined;

  const isDown = (side: Side): boolean => freshVerdict(side)?.state === "Down";

  const viewOf = (side: Side): ProcessorView => {
    const nowMs = clock.monotonicMs();
    const meanAgeMs = side.running === 0 ? 0 : nowMs - side.startedSumMs / side.running;
    const told = freshVerdict(side)?.minResponseTimeMs;
    const idle = side.running === 0 && nowMs - side.lastAnswerMs > idleAfterMs;
    // One that nothing is sent to has no latency of its own: what the prober says counts, and without it that is found out anew.
    const latencyMs = Math.max(idle ? (told ?? 0) : side.inFlight.latencyMs, meanAgeMs, 1);
    return {
      usable: canUse(side),
      latencyMs,
      capacityPerSecond: capacityPerSecond({ ...side.inFlight, latencyMs }),
    };
  };

  const findOldestWaitMs = (): number => {
    const oldest = Math.min(
      backlog.oldestAcceptedAtMs ?? Number.POSITIVE_INFINITY,
      ...waiters.map((w) => w.oldestAcceptedAtMs),
    );
    return Number.isFinite(oldest) ? Math.max(0, clock.nowMs() - oldest) : 0;
  };

  const decide = (fallbackView = viewOf(sides.fallback)): RouteDecision => {
    const held = waiters.reduce((sum, { max }) => sum + max, 0);
    return chooseRoute(
      {
        default: viewOf(sides.default),
        fallback: fallbackView,
        backlog: Math.max(held, backlog.payments),
        arrivalPerSecond: backlog.arrivalPerSecond,
        oldestWaitMs: findOldestWaitMs(),
      },
      settings.routing,
    );
  };

  const take = (processor: ProcessorName, probe: boolean): Slot => {
    const side = sides[processor];
    const nowMs = clock.monotonicMs();
    side.running += 1;
    side.startedSumMs += nowMs;
    if (side.running >= Math.floor(side.inFlight.limit)) side.busy = true;
    if (probe) side.breaker = onProbe(side.breaker);
    const slot = { processor, probe };
    startOf.set(slot, nowMs);
    return slot;
  };
  const free = (slot: Slot): Side => {
    const side = sides[slot.processor];
    side.running -= 1;
    side.startedSumMs -= startOf.get(slot) ?? 0;
    return side;
  };
  const room = ({ inFlight, running }: Side): number => Math.max(0, Math.floor(inFlight.limit) - running);

  const canUse = (side: Side): boolean => side.breaker.state === "closed" && !isDown(side);
  const canProbe = (side: Side): boolean => !isDown(side) && mayProbe(side.breaker, clock.monotonicMs());

  /** The default's probe first; the fallback's only while the default cannot be used, or is so slow that the fallback is wanted. */
  const takeProbe = (): Slot | undefined => {
    if (canProbe(sides.default)) return take("default", true);
    if (!canProbe(sides.fallback)) return undefined;
    const isWanted = !canUse(sides.default) || decide({ ...viewOf(sides.fallback), usable: true }).route === "fallback";
    return isWanted ? take("fallback", true) : undefined;
  };

  const takeRoute = (max: number): Slot[] => {
    const probe = takeProbe();
    if (probe !== undefined) return [probe];
    const { route } = decide();
    if (route === "hold") return [];
    const count = Math.min(max, room(sides[route]));
    return Array.from({ length: count }, () => take(route, false));
  };

  /** Serves who waits, in the order in which they came. */
  const pump = (): void => {
    for (let first = waiters[0]; first !== undefined; first = waiters[0]) {
      const slots = takeRoute(first.max);
      if (slots.length === 0) return;
      waiters.shift();
      first.resolve(slots);
    }
  };

  return {
    acquire(max, oldestAcceptedAtMs, signal) {
      if (signal.aborted) return Promise.reject(signal.reason);
      return new Promise((resolve, reject) => {
        const onAbort = (): void => {
          const index = waiters.indexOf(waiter);
          if (index >= 0) waiters.splice(index, 1);
          reject(signal.reason);
        };
        const waiter: Waiter = {
          max,
          oldestAcceptedAtMs,
          resolve(slots) {
            signal.removeEventListener("abort", onAbort);
            resolve(slots);
          },
        };
        signal.addEventListener("abort", onAbort, { once: true });
        waiters.push(waiter);
        if (waiters.length === 1) pump();
      });
    },
    tryRoute: () => takeRoute(1)[0],
    tryAt(processor) {
      const side = sides[processor];
      if (isDown(side)) return undefined;
      if (mayProbe(side.breaker, clock.monotonicMs())) return take(processor, true);
      return side.breaker.state === "closed" && room(side) > 0 ? take(processor, false) : undefined;
    },
    answered(slot, outcome, durationMs) {
      const side = free(slot);
      side.answers += 1;
      side.latencySumMs += durationMs;
      side.lastAnswerMs = clock.monotonicMs();
      if (isOverload(outcome)) {
        side.overloaded = true;
        if (slot.probe)
          side.breaker = onAnswer(side.breaker, { good: true, probe: true }, clock.monotonicMs(), defaultBreaker);
      } else {
        const answer = { good: outcome.kind === "recorded", probe: slot.probe };
        side.breaker = onAnswer(side.breaker, answer, clock.monotonicMs(), defaultBreaker);
      }
      pump();
    },
    giveBack(slot) {
      const side = free(slot);
      if (slot.probe) side.breaker = onProbeUnused(side.breaker, clock.monotonicMs());
      // Not at once: the same caller could be served, and give back, for ever.
      queueMicrotask(pump);
    },
    setSettings(next) {
      settings = next;
      for (const name of processorNames) {
        const side = sides[name];
        const verdict = next.verdicts[name];
        if (verdict.checkedAtMs === side.verdict.checkedAtMs) continue;
        side.verdict = verdict;
        side.verdictSeenMs = clock.monotonicMs();
        if (verdict.state === "Healthy") side.breaker = onGoodNews(side.breaker, clock.monotonicMs());
      }
      pump();
    },
    setBacklog(next) {
      backlog = next;
    },
    tick() {
      for (const name of processorNames) {
        const side = sides[name];
        if (side.answers === 0 && !side.overloaded) continue;
        const meanLatencyMs = side.answers === 0 ? 0 : side.latencySumMs / side.answers;
        const { answers, busy, overloaded } = side;
        side.inFlight = onWindow(side.inFlight, { answers, meanLatencyMs, busy, overloaded }, defaultInFlight);
        side.answers = 0;
        side.latencySumMs = 0;
        side.busy = side.running >= Math.floor(side.inFlight.limit);
        side.overloaded = false;
      }
      pump();
    },
    state() {
      const describe = (side: Side) => ({
        ...viewOf(side),
        running: side.running,
        limit: Math.floor(side.inFlight.limit),
        breaker: side.breaker.state,
      });
      return {
        route: decide(),
        processors: { default: describe(sides.default), fallback: describe(sides.fallback) },
        oldestWaitMs: findOldestWaitMs(),
      };
    },
    waiting: () => waiters.reduce((sum, { max }) => sum + max, 0),
  };
}

function isOverload(outcome: Outcome): boolean {
  return outcome.kind === "refused" && outcome.overloaded;
}
