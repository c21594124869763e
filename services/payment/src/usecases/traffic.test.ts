import { paymentSettings } from "@pricing-engine/contracts";
import { describe, expect, it } from "vitest";
import type { Outcome } from "../domain/outcome.ts";
import type { ProcessorName } from "../domain/processor.ts";
import { makeTraffic } from "./traffic.ts";

const recorded: Outcome = { kind: "recorded", already: false };
const refused: Outcome = { kind: "refused", reason: "500", overloaded: false };

function open() {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs, sleep: () => Promise.resolve() };
  const traffic = makeTraffic({ clock, settings: paymentSettings.parse({}) });
  return {
    traffic,
    advance(ms: number): void {
      nowMs += ms;
    },
    /** One call there that takes so long. */
    call(processor: ProcessorName, outcome: Outcome, tookMs: number): void {
      const slot = traffic.tryAt(processor);
      if (slot === undefined) throw new Error(`no slot at ${processor}`);
      nowMs += tookMs;
      traffic.answered(slot, outcome, tookMs);
      traffic.tick();
    },
  };
}

describe("traffic", () => {
  it("finds out whether a fallback that failed once is back as soon as the default is too slow", () => {
    const { traffic, advance, call } = open();
    for (let count = 0; count < 5; count += 1) call("fallback", refused, 1);
    expect(traffic.state().processors.fallback.usable).toBe(false);
    advance(1_000);
    call("default", recorded, 2_000);
    const probe = traffic.tryRoute();
    expect(probe).toEqual({ processor: "fallback", probe: true });
    // One at a time finds out.
    expect(traffic.tryRoute()).toEqual({ processor: "default", probe: false });
    if (probe !== undefined) traffic.answered(probe, recorded, 5);
    traffic.tick();
    expect(traffic.tryRoute()).toEqual({ processor: "fallback", probe: false });
  });

  it.each([
    [1_400, "default"],
    [1_600, "fallback"],
  ])("sends a burst, whose calls take %i ms at the default, to the %s behind its first calls", (tookMs, processor) => {
    const { traffic, advance } = open();
    traffic.setBacklog({ payments: 300, arrivalPerSecond: 300, oldestAcceptedAtMs: 0 });
    const take = () => Array.from({ length: 300 }, () => traffic.tryRoute()).filter((slot) => slot !== undefined);
    const first = take();
    expect(first.length).toBeGreaterThan(1);
    expect(new Set(first.map((slot) => slot.processor))).toEqual(new Set(["default"]));
    advance(tookMs);
    for (const slot of first) traffic.answered(slot, recorded, tookMs);
    traffic.tick();
    const rest = take();
    expect(rest.length).toBeGreaterThan(1);
    expect(new Set(rest.map((slot) => slot.processor))).toEqual(new Set([processor]));
  });

  it("leaves a fallback that failed alone while the default will do", () => {
    const { traffic, advance, call } = open();
    for (let count = 0; count < 5; count += 1) call("fallback", refused, 1);
    call("default", recorded, 5);
    advance(10_000);
    expect(traffic.tryRoute()).toEqual({ processor: "default", probe: false });
  });

  it("tries a default again that was slow when it was last used, and of which nobody says anything", () => {
    const { traffic, advance, call } = open();
    call("fallback", recorded, 5);
    call("default", recorded, 2_000);
    const slot = traffic.tryRoute();
    expect(slot).toMatchObject({ processor: "fallback" });
    if (slot !== undefined) traffic.answered(slot, recorded, 5);
    advance(3_001);
    expect(traffic.tryRoute()).toMatchObject({ processor: "default" });
  });

  it.each([
    ["Down", "Healthy", "fallback"],
    ["Down", "Down", undefined],
  ] as const)(
    "goes by a verdict of %s and %s until it is too old, and then tries the default",
    (cheap, other, route) => {
      const { traffic, advance } = open();
      const verdicts = { default: { state: cheap, checkedAtMs: 1 }, fallback: { state: other, checkedAtMs: 1 } };
      const settings = paymentSettings.parse({ maxVerdictAgeMs: 10_000, routing: { maxHoldMs: 1_000 }, verdicts });
      traffic.setBacklog({ payments: 1, arrivalPerSecond: 1, oldestAcceptedAtMs: 0 });
      traffic.setSettings(settings);
      advance(10_000);
      expect(traffic.tryRoute()?.processor).toBe(route);
      // Told again, it grows no younger.
      traffic.setSettings(settings);
      advance(1);
      expect(traffic.tryRoute()?.processor).toBe("default");
    },
  );
});
