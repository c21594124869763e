import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  atAge,
  judge,
  type ProbeResult,
  type ProcessorState,
  routeOf,
  unknownVerdict,
  type Verdict,
} from "./failover.ts";

const settings = { failureThreshold: 3, recoveryThreshold: 2 };
const good: ProbeResult = { kind: "answer", failing: false, minResponseTimeMs: 5 };
const failing: ProbeResult = { kind: "answer", failing: true, minResponseTimeMs: 5 };
const silent: ProbeResult = { kind: "unanswered" };
const soon: ProbeResult = { kind: "too_soon" };

function run(probes: ProbeResult[]): Verdict {
  return probes.reduce((verdict, probe, n) => judge(verdict, probe, settings, (n + 1) * 5000), unknownVerdict(0));
}

describe("judge", () => {
  it.each([
    ["the first good answer", [good], "Healthy", 5000],
    ["failing is a verdict at once", [good, failing], "Down", 10_000],
    ["one silence", [good, silent], "Degraded", 10_000],
    ["two silences are not yet down", [good, silent, silent], "Degraded", 10_000],
    ["three are", [good, silent, silent, silent], "Down", 20_000],
    ["an answer between them starts the count again", [good, silent, silent, good, silent], "Degraded", 25_000],
    ["silence from the start", [silent, silent], "Unknown", 0],
    ["one good answer does not end it", [failing, good], "Down", 5000],
    ["two do", [failing, good, good], "Healthy", 15_000],
    ["two that are not in a row do not", [failing, good, failing, good], "Down", 5000],
    ["a silence in between neither", [failing, good, silent, good], "Down", 5000],
    ["too soon is no silence", [good, soon, soon, soon, soon], "Healthy", 5000],
    ["too soon is no good answer", [failing, soon, soon, good], "Down", 5000],
  ] as const)("%s", (_name, probes, state, sinceMs) => {
    expect(run([...probes])).toMatchObject({ state, sinceMs });
  });

  it("never calls a processor down without a cause in the last answers, nor well without good ones", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(good, failing, silent, soon), { maxLength: 60 }), (probes) => {
        const telling = probes.filter((probe) => probe !== soon);
        const { state } = run(probes);
        if (state === "Healthy") expect(telling.at(-1)).toBe(good);
        if (telling.at(-1) === failing) expect(state).toBe("Down");
        if (telling.length > 1 && telling.slice(-2).every((probe) => probe === good)) expect(state).toBe("Healthy");
        if (telling.length > 2 && telling.slice(-3).every((probe) => probe === silent)) expect(state).toBe("Down");
      }),
    );
  });
});

describe("a verdict's age", () => {
  const maxVerdictAgeMs = 30_000;
  const healthy = run([good]);
  const down = run([good, failing]);
  /** What is judged after it grew too old. */
  const late = (verdict: Verdict, ...probes: ProbeResult[]) =>
    probes.reduce(
      (known, probe, nth) => judge(known, probe, settings, 100_000 + nth * 5000),
      atAge(verdict, maxVerdictAgeMs + 1, maxVerdictAgeMs),
    );

  it.each([
    [0, "Healthy"],
    [5000, "Healthy"],
    [maxVerdictAgeMs, "Healthy"],
    [maxVerdictAgeMs + 1, "Unknown"],
    [Number.POSITIVE_INFINITY, "Unknown"],
  ])("of %i ms leaves it %s", (ageMs, state) => {
    expect(atAge(healthy, ageMs, maxVerdictAgeMs).state).toBe(state);
  });

  it("says since when nothing is known, however late one looks", () => {
    const seen = atAge(down, maxVerdictAgeMs + 1, maxVerdictAgeMs);
    expect(seen).toMatchObject({ state: "Unknown", sinceMs: 40_000, minResponseTimeMs: 0, isExpired: true });
    expect(atAge(down, 9_000_000, maxVerdictAgeMs)).toEqual(seen);
    expect(atAge(seen, 9_000_000, maxVerdictAgeMs)).toEqual(seen);
  });

  it("is no reason for what was never known", () => {
    const never = unknownVerdict(7);
    expect(atAge(never, 9_000_000, maxVerdictAgeMs)).toBe(never);
  });

  it.each([
    ["Healthy, a good answer", healthy, [good], "Healthy"],
    ["Healthy, one that says failing", healthy, [failing], "Down"],
    ["Healthy, a silence", healthy, [silent], "Unknown"],
    ["Healthy, three silences", healthy, [silent, silent, silent], "Down"],
    // Nothing that still counts says that it is down.
    ["Down, a good answer", down, [good], "Healthy"],
    ["Down, one that says failing", down, [failing], "Down"],
    ["Down, a silence", down, [silent], "Unknown"],
    ["too soon is no answer", down, [soon, soon], "Unknown"],
  ] as const)("comes back with what is heard next: %s", (_name, before, probes, state) => {
    const after = late(before, ...probes);
    expect(after).toMatchObject({ state, isExpired: state === "Unknown" });
  });

  it("does not keep silences from adding up, however far apart", () => {
    const last = [silent, silent, silent].reduce(
      (verdict, probe, nth) => judge(atAge(verdict, 60_000, maxVerdictAgeMs), probe, settings, nth * 60_000),
      healthy,
    );
    expect(last.state).toBe("Down");
  });

  it("changes nothing while something is heard in time", () => {
    const probe = fc.constantFrom(good, failing, silent);
    const gap = fc.integer({ min: 0, max: maxVerdictAgeMs });
    fc.assert(
      fc.property(fc.array(fc.tuple(probe, gap), { maxLength: 60 }), (series) => {
        let [nowMs, plain, seen] = [0, unknownVerdict(0), unknownVerdict(0)];
        for (const [result, gapMs] of series) {
          nowMs += gapMs;
          plain = judge(plain, result, settings, nowMs);
          seen = judge(atAge(seen, gapMs, maxVerdictAgeMs), result, settings, nowMs);
          expect(seen).toEqual(plain);
        }
      }),
    );
  });
});

describe("the route", () => {
  it.each([
    ["Healthy", "Healthy", "default"],
    ["Degraded", "Healthy", "default"],
    ["Unknown", "Healthy", "default"],
    ["Unknown", "Down", "default"],
    ["Unknown", "Unknown", "default"],
    ["Down", "Healthy", "fallback"],
    ["Down", "Unknown", "fallback"],
    ["Down", "Down", "hold"],
  ] as const)("with default %s and fallback %s is %s: what is unknown is tried", (cheap, fallback, route) => {
    const is = (state: ProcessorState) => ({ ...unknownVerdict(0), state });
    expect(routeOf({ default: is(cheap), fallback: is(fallback) })).toBe(route);
  });
});
