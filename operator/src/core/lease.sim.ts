import fc from "fast-check";
import { expect, it } from "vitest";
import {
  decideLease,
  isLeader,
  type LeaseDecision,
  type LeaseMemory,
  type LeaseView,
  ledSince,
  noMemory,
  observeLease,
  releasedSpec,
} from "./lease.ts";

const durations = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2000 };
type Write = Extract<LeaseDecision, { act: "write" }>;

/** Between any two steps a process may be paused for any time: what it read, decided or sent is then as old. */
type Phase =
  | { readonly at: "idle" }
  | { readonly at: "read"; readonly view: LeaseView }
  | { readonly at: "sent"; readonly write: Write; readonly sentAtMs: number }
  | { readonly at: "answered"; readonly write: Write; readonly sentAtMs: number; readonly version: string | undefined };

interface Candidate {
  /** A new one with each restart. */
  identity: string;
  /** Its clock began elsewhere, and goes a little fast or slow. */
  readonly clock: { readonly offsetMs: number; readonly rate: number };
  memory: LeaseMemory;
  phase: Phase;
}

const clocks = fc.record({
  offsetMs: fc.nat({ max: 1_000_000 }),
  rate: fc.double({ min: 0.9, max: 1.1, noNaN: true }),
});
/** One candidate goes on for a while; the others are paused meanwhile. */
const spell = fc.record({
  who: fc.nat({ max: 2 }),
  steps: fc.integer({ min: 1, max: 40 }),
  everyMs: fc.constantFrom(1, 20, 300, 700, 1100),
  /** Of the first step; the others work. */
  fate: fc.constantFrom("works", "works", "refused", "answer lost", "restarts", "gives up"),
});

function simulate(candidates: readonly Candidate[]) {
  let nowMs = 0;
  let versions = 0;
  let lease: { uid: string; version: string; spec: NonNullable<LeaseView>["spec"] } | undefined;
  /** Of each take-over, in the order in which the API server took them. */
  const epochs: number[] = [];
  const localMs = ({ clock }: Candidate): number => clock.offsetMs + nowMs * clock.rate;
  const date = (): Date => new Date(Date.UTC(2026, 0) + nowMs);

  function take(write: Pick<Write, "spec" | "over" | "epoch">): string | undefined {
    if (lease?.version !== write.over?.version) return undefined;
    versions++;
    const { holderIdentity: holder } = write.spec;
    if (holder !== "" && holder !== lease?.spec.holderIdentity) epochs.push(write.epoch);
    lease = { uid: "u", version: String(versions), spec: write.spec };
    return lease.version;
  }

  function advance(candidate: Candidate, fate: string): void {
    const at = localMs(candidate);
    if (fate === "restarts") {
      Object.assign(candidate, { memory: noMemory, phase: { at: "idle" }, identity: `${candidate.identity}'` });
      return;
    }
    if (fate === "gives up" && lease?.spec.holderIdentity === candidate.identity) {
      const epoch = lease.spec.leaseTransitions ?? 0;
      Object.assign(candidate, { memory: noMemory, phase: { at: "idle" } });
      take({ spec: releasedSpec(epoch, date()), over: lease, epoch });
      return;
    }
    const { phase } = candidate;
    switch (phase.at) {
      case "idle":
        candidate.phase = fate === "refused" ? phase : { at: "read", view: lease };
        return;
      case "read": {
        candidate.memory = observeLease(candidate.memory, phase.view, candidate.identity, at);
        const self = { identity: candidate.identity, durations };
        const decision = decideLease(candidate.memory, phase.view, self, { nowMs: at, date: date() });
        candidate.phase = decision.act === "wait" ? { at: "idle" } : { at: "sent", write: decision, sentAtMs: at };
        return;
      }
      case "sent": {
        const version = fate === "refused" ? undefined : take(phase.write);
        candidate.phase = { ...phase, at: "answered", version: fate === "answer lost" ? undefined : version };
        return;
      }
      case "answered":
        if (phase.version !== undefined) candidate.memory = ledSince(phase.version, phase.write.epoch, phase.sentAtMs);
        candidate.phase = { at: "idle" };
        return;
      default:
        phase satisfies never;
    }
  }

  return {
    epochs,
    leaders: () => candidates.filter((each) => isLeader(each.memory, durations, localMs(each))),
    holder: () => lease?.spec.holderIdentity,
    pass(ms: number) {
      nowMs += ms;
    },
    advance,
  };
}

it("has one leader at a time and growing epochs, whatever pauses, restarts, and is lost or refused", () => {
  const clocksOfAll = fc.array(clocks, { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(clocksOfAll, fc.array(spell, { maxLength: 30 }), (own, spells) => {
      const candidates = own.map(
        (clock, index): Candidate => ({ identity: `c${index}`, clock, memory: noMemory, phase: { at: "idle" } }),
      );
      const world = simulate(candidates);
      for (const { who, steps, everyMs, fate } of spells) {
        const candidate = candidates[who];
        for (let done = 0; done < steps && candidate !== undefined; done++) {
          world.pass(everyMs);
          world.advance(candidate, done === 0 ? fate : "works");
          if (world.leaders().length > 1) throw new Error("two lead");
        }
      }
      expect(world.epochs).toEqual([...new Set(world.epochs)].toSorted((a, b) => a - b));
      // The faults are over: within two durations somebody leads, and goes on.
      for (let round = 0; round < 60; round++) {
        world.pass(500);
        for (const candidate of candidates) world.advance(candidate, "works");
      }
      const [leader] = world.leaders();
      expect(leader).toBeDefined();
      expect(leader?.identity).toBe(world.holder());
    }),
    { numRuns: Number(process.env.SIM_RUNS ?? 2000) },
  );
});
