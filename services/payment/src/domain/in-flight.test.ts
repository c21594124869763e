import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { capacityPerSecond, defaultInFlight, type InFlight, makeInFlight, onWindow } from "./in-flight.ts";

/** A processor with so many places and a fixed time of work: more calls than places only wait longer. */
function run(workMs: number, places: number, from: InFlight = makeInFlight(), windows = 60): InFlight {
  let state = from;
  for (let n = 0; n < windows; n += 1) {
    const meanLatencyMs = workMs * Math.max(1, Math.floor(state.limit) / places);
    state = onWindow(state, { answers: 100, meanLatencyMs, busy: true, overloaded: false }, defaultInFlight);
  }
  return state;
}

describe("in-flight limit", () => {
  it("grows to what a wide processor takes, in ten windows", () => {
    expect(run(1000, 10_000, makeInFlight(), 10).limit).toBe(defaultInFlight.max);
  });

  it.each([10, 50, 200])("stops where more calls only wait longer: %i places", (places) => {
    const { limit } = run(10, places);
    expect(limit).toBeGreaterThanOrEqual(Math.min(places, defaultInFlight.initial));
    expect(limit).toBeLessThanOrEqual(Math.max(defaultInFlight.initial, places * 2.3));
  });

  it("proves nothing while idle", () => {
    const window = { answers: 10, meanLatencyMs: 5, busy: false, overloaded: false };
    expect(onWindow(makeInFlight(), window, defaultInFlight).limit).toBe(defaultInFlight.initial);
  });

  it("does not strangle a processor that became two hundred times slower", () => {
    const slow = run(1000, 10_000, run(5, 10_000));
    expect(slow.limit).toBe(defaultInFlight.max);
    expect(capacityPerSecond(slow)).toBeCloseTo(defaultInFlight.max, 0);
  });

  it("falls at once when told that it is too much, and comes back", () => {
    const high = run(10, 10_000);
    const cut = onWindow(high, { answers: 100, meanLatencyMs: 10, busy: true, overloaded: true }, defaultInFlight);
    expect(cut.limit).toBeCloseTo(high.limit * 0.7);
    expect(run(10, 10_000, cut).limit).toBe(defaultInFlight.max);
  });

  it("stays within its bounds, whatever happens", () => {
    const window = fc.record({
      answers: fc.nat(1000),
      meanLatencyMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
      busy: fc.boolean(),
      overloaded: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(window, { maxLength: 300 }), (windows) => {
        let state = makeInFlight();
        for (const one of windows) {
          state = onWindow(state, one, defaultInFlight);
          expect(state.limit).toBeGreaterThanOrEqual(defaultInFlight.min);
          expect(state.limit).toBeLessThanOrEqual(defaultInFlight.max);
          expect(capacityPerSecond(state)).toBeGreaterThan(0);
        }
      }),
    );
  });
});
