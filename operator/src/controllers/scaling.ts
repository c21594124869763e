/**
 * The scaling loop: one per role, so that none waits for another's trouble. It looks, decides, scales, and says why.
 *
 * It begins with the number that runs, and owns it from then on: what somebody else sets is set back, unless the loop is paused
 * (then it is left alone, and taken over afterwards) or the runtime refuses it, because somebody else scales the role.
 */
import type { Logger } from "@pricing-engine/chassis/log";
import type { Route } from "../api/status.ts";
import type { Plan, Role } from "../core/plan.ts";
import type { ScalePlan } from "../core/plan-scale.ts";
import {
  decide,
  type GroupLook,
  initialScale,
  type Look,
  lookAgainMs,
  lookEveryMs,
  type ScaleDecision,
  type ScaleSettings,
  type ScaleState,
} from "../core/scale.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { makeBounded } from "./bounded.ts";
import { sleep } from "./sleep.ts";

export type ScalingPlan = Pick<Plan, "workloads" | "settings" | "scalingPaused">;

export interface ScalingDeps {
  readonly runtime: Pick<
    Runtime,
    "lookAtGroup" | "countWaiting" | "currentReplicas" | "scale" | "findOtherScaler" | "replicas"
  >;
  readonly logger: Pick<Logger, "info" | "warn">;
  /** For differences alone: a clock that never goes back. */
  monotonicMs(): number;
  /** Where payments go by the processors' verdicts; undefined without the payment section. */
  route(): Route | undefined;
  /** Each decision, also one that changes nothing, with what it was made of. */
  onDecision(role: Role, decision: ScaleDecision, seen: ScaleInput): void;
  readonly downWindowMs?: number | undefined;
  /** Until the next look; default by the clock. Resolves early when the signal aborts. */
  wait?(ms: number, signal: AbortSignal): Promise<void>;
}

export interface ScaleInput {
  readonly look: Look;
  readonly limits: ScaleSettings;
}

export interface RoleScaling {
  readonly decision: ScaleDecision;
  /** The reason and the figures behind it, as they were when the number or the reason last changed. */
  readonly explained: string;
  /** So many must be ready by now: those that were just added have a minute. */
  readonly due: number;
  /** Why the runtime does not let it be scaled. */
  readonly refusal: string | undefined;
}

export interface Scaling {
  /** Scales what the plan says from now on. */
  apply(plan: ScalingPlan): void;
  find(role: Role): RoleScaling | undefined;
  /** Resolves when nothing is written any more. */
  close(): Promise<void>;
}

interface Loop {
  readonly stopping: AbortController;
  state: ScaleState | undefined;
  seen: RoleScaling | undefined;
  /** Those added later are not due yet. */
  dueBefore: { readonly count: number; readonly untilMs: number };
  failure: string | undefined;
}

/** Kafka's client tries for longer; the number must not wait for it. */
const lookTimeoutMs = 5_000;
const startGraceMs = 60_000;

export function makeScaling(deps: ScalingDeps): Scaling {
  const { runtime, logger, wait = sleep } = deps;
  const loops = new Map<Role, Loop>();
  const running = new Set<Promise<void>>();
  let plan: ScalingPlan | undefined;
  const planOf = (role: Role): ScalePlan | undefined =>
    plan?.workloads.find((workload) => workload.role === role)?.scale;

  async function follow(role: Role, loop: Loop): Promise<void> {
    const { signal } = loop.stopping;
    const bounded = makeBounded(lookTimeoutMs);
    while (!signal.aborted) {
      let waitMs = lookEveryMs;
      try {
        const decision = await turn(role, loop, bounded);
        if (decision !== undefined) waitMs = lookAgainMs(decision);
        loop.failure = undefined;
      } catch (error) {
        const failure = error instanceof Error ? error.message : String(error);
        if (failure !== loop.failure) logger.warn({ role, err: error }, `${role} was not scaled`);
        loop.failure = failure;
      }
      await wait(waitMs, signal);
    }
  }

  async function turn(
    role: Role,
    loop: Loop,
    bounded: ReturnType<typeof makeBounded>,
  ): Promise<ScaleDecision | undefined> {
    const scale = planOf(role);
    if (scale === undefined || plan === undefined) return undefined;
    const { scalingPaused, settings } = plan;
    const looked = await bounded(() => look(role, scale, settings)).catch(() => undefined);
    const current = await runtime.currentReplicas(role);
    if (loop.stopping.signal.aborted) return undefined;
    if (current === undefined) {
      loop.state = undefined;
      return undefined;
    }
    const atMs = deps.monotonicMs();
    const known = loop.state ?? initialScale(current, atMs);
    const isTheirs = scalingPaused || loop.seen?.refusal !== undefined;
    if (known.desired !== current && !isTheirs) {
      logger.info({ role, found: current, wanted: known.desired }, `${role} is set back to ${known.desired}`);
    }
    const before = isTheirs ? { ...known, desired: current } : known;
    const ready = runtime.replicas().filter((replica) => replica.role === role && replica.state === "ready").length;
    const { drainTargetMs, max, min, partitions } = scale;
    const { downWindowMs } = deps;
    const limits = { min, max, drainTargetMs, partitions, ...(downWindowMs === undefined ? {} : { downWindowMs }) };
    const frozenBy = scalingPaused ? "paused" : scale.waitsForPayments && deps.route() === "hold" ? "hold" : undefined;
    const input: ScaleInput = { limits, look: { atMs, ready, frozenBy, ...looked, measured: looked?.measured } };
    const { state, decision } = decide(before, input.look, limits);
    loop.state = state;
    const refusal = await scaleTo(role, decision.desired, current);
    if (refusal !== undefined) {
      loop.state = { ...state, desired: current };
      const kept = { ...decision, desired: current, reason: "Refused", message: refusal } as const;
      note(role, loop, input, kept, refusal);
      return decision;
    }
    note(role, loop, input, decision, undefined);
    return decision;
  }

  /** Resolves with why it may not be scaled from here, also when there is nothing to change: that is to be known before. */
  async function scaleTo(role: Role, wanted: number, current: number): Promise<string | undefined> {
    if (wanted === current) return runtime.findOtherScaler?.(role);
    const outcome = await runtime.scale(role, wanted);
    return outcome.kind === "refused" ? outcome.reason : undefined;
  }

  /** @throws when any of it cannot be asked: half a look would be taken for a whole one */
  async function look(
    role: Role,
    scale: ScalePlan,
    settings: ScalingPlan["settings"],
  ): Promise<{ measured: GroupLook; beside: number }> {
    const maySleep = scale.min === 0;
    const [measured, ...beside] = await Promise.all([
      runtime.lookAtGroup(scale.group),
      ...(maySleep ? [runtime.countWaiting(role, settings)] : []),
      ...(maySleep ? scale.besides.map(async (group) => lagOf(await runtime.lookAtGroup(group))) : []),
    ]);
    return { measured, beside: beside.reduce((sum, count) => sum + count, 0) };
  }

  function note(role: Role, loop: Loop, input: ScaleInput, decision: ScaleDecision, refusal: string | undefined): void {
    const { seen } = loop;
    const isNews = seen?.decision.desired !== decision.desired || seen.decision.reason !== decision.reason;
    const nowMs = deps.monotonicMs();
    if (decision.desired > decision.before) {
      loop.dueBefore = { count: decision.before, untilMs: nowMs + startGraceMs };
    }
    const due = nowMs < loop.dueBefore.untilMs ? Math.min(decision.desired, loop.dueBefore.count) : decision.desired;
    const explained = isNews || seen === undefined ? `${decision.reason}: ${decision.message}` : seen.explained;
    loop.seen = { decision, due, explained, refusal };
    deps.onDecision(role, decision, input);
  }

  return {
    apply(next) {
      plan = next;
      for (const [role, loop] of loops) {
        if (planOf(role) !== undefined) continue;
        loop.stopping.abort();
        loops.delete(role);
      }
      for (const { role, scale } of next.workloads) {
        if (scale === undefined || loops.has(role)) continue;
        const loop: Loop = {
          stopping: new AbortController(),
          state: undefined,
          seen: undefined,
          dueBefore: { count: 0, untilMs: Number.NEGATIVE_INFINITY },
          failure: undefined,
        };
        loops.set(role, loop);
        const ended = follow(role, loop).finally(() => running.delete(ended));
        running.add(ended);
      }
    },
    find: (role) => loops.get(role)?.seen,
    async close() {
      for (const { stopping } of loops.values()) stopping.abort();
      await Promise.all(running);
    },
  };
}

function lagOf({ partitions }: GroupLook): number {
  return partitions.reduce((sum, { committed, end }) => sum + Math.max(0, end - committed), 0);
}
