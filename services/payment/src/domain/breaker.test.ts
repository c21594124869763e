import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Breaker, defaultBreaker, makeBreaker, mayProbe, onAnswer, onProbe } from "./breaker.ts";

const bad = { good: false, probe: false };
const good = { good: true, probe: false };

function after(answers: readonly { good: boolean; probe: boolean }[], from: Breaker = makeBreaker()): Breaker {
  return answers.reduce((breaker, answer) => onAnswer(breaker, answer, 0, defaultBreaker), from);
}

describe("breaker", () => {
  it("opens after so many bad answers in a row and not before", () => {
    expect(after([bad, bad, bad, bad]).state).toBe("closed");
    expect(after([bad, bad, bad, bad, good, bad, bad, bad, bad]).state).toBe("closed");
    expect(after([bad, bad, bad, bad, bad]).state).toBe("open");
  });

  it("lets one call through, whose answer decides", () => {
    const open = after([bad, bad, bad, bad, bad]);
    expect(mayProbe(open, defaultBreaker.firstWaitMs - 1)).toBe(false);
    expect(mayProbe(open, defaultBreaker.firstWaitMs)).toBe(true);
    const probing = onProbe(open);
    expect(mayProbe(probing, 1e9)).toBe(false);
    expect(after([good, bad], probing)).toEqual(probing);
    expect(after([{ good: true, probe: true }], probing).state).toBe("closed");
    expect(after([{ good: false, probe: true }], probing)).toEqual({ state: "open", untilMs: 1000, waitMs: 1000 });
  });

  it("always lets another probe through one day", () => {
    const answers = fc.array(fc.record({ good: fc.boolean(), probe: fc.boolean() }), { maxLength: 50 });
    fc.assert(
      fc.property(answers, (list) => {
        const breaker = after(list);
        if (breaker.state === "open") {
          expect(breaker.waitMs).toBeLessThanOrEqual(defaultBreaker.maxWaitMs);
          expect(mayProbe(breaker, breaker.untilMs)).toBe(true);
        }
      }),
    );
  });
});
