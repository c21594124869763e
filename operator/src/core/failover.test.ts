import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { judge, type ProbeResult, unknownVerdict, type Verdict } from "./failover.ts";

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
