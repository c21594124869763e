import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chooseRoute, type RouteInput, type RouteSettings } from "./route.ts";

const settings: RouteSettings = { maxHoldMs: 30_000, preferDefaultBelowMs: 120, maxLatencyRatio: 3 };
const up = { usable: true, latencyMs: 5, capacityPerSecond: 1000 };
const down = { ...up, usable: false };
const idle = { backlog: 0, arrivalPerSecond: 0, oldestWaitMs: 0 };

describe("chooseRoute", () => {
  it.each([
    ["both well", { default: up, fallback: up, ...idle }, "default"],
    [
      "default slow, but no slower than three times the fallback",
      { default: { ...up, latencyMs: 900 }, fallback: { ...up, latencyMs: 300 }, ...idle },
      "default",
    ],
    [
      "default slow and keeps up",
      {
        default: { ...up, latencyMs: 1400, capacityPerSecond: 400 },
        fallback: up,
        backlog: 100,
        arrivalPerSecond: 300,
        oldestWaitMs: 0,
      },
      "default",
    ],
    [
      "default slow, queue meets the deadline",
      {
        default: { ...up, latencyMs: 1400, capacityPerSecond: 100 },
        fallback: up,
        backlog: 2000,
        arrivalPerSecond: 300,
        oldestWaitMs: 1000,
      },
      "default",
    ],
    [
      "default slow, queue too long",
      {
        default: { ...up, latencyMs: 1400, capacityPerSecond: 100 },
        fallback: up,
        backlog: 5000,
        arrivalPerSecond: 300,
        oldestWaitMs: 1000,
      },
      "fallback",
    ],
    [
      "default slow, queue too long, no fallback",
      {
        default: { ...up, latencyMs: 1400, capacityPerSecond: 100 },
        fallback: down,
        backlog: 5000,
        arrivalPerSecond: 300,
        oldestWaitMs: 1000,
      },
      "default",
    ],
    [
      "default slow and keeps up, but the summary would lag",
      {
        default: { ...up, latencyMs: 2000, capacityPerSecond: 400 },
        fallback: up,
        backlog: 100,
        arrivalPerSecond: 300,
        oldestWaitMs: 0,
      },
      "fallback",
    ],
    [
      "both so slow that the summary lags anyway",
      {
        default: { ...up, latencyMs: 9000, capacityPerSecond: 400 },
        fallback: { ...up, latencyMs: 2000 },
        backlog: 100,
        arrivalPerSecond: 300,
        oldestWaitMs: 0,
      },
      "default",
    ],
    [
      "default down, just now",
      { default: down, fallback: up, backlog: 10, arrivalPerSecond: 10, oldestWaitMs: 1000 },
      "hold",
    ],
    [
      "default down, deadline near",
      { default: down, fallback: up, backlog: 1000, arrivalPerSecond: 10, oldestWaitMs: 29_500 },
      "fallback",
    ],
    [
      "default down, long queue eats the deadline",
      {
        default: down,
        fallback: { ...up, capacityPerSecond: 100 },
        backlog: 3000,
        arrivalPerSecond: 10,
        oldestWaitMs: 100,
      },
      "fallback",
    ],
    ["both down", { default: down, fallback: down, backlog: 10, arrivalPerSecond: 10, oldestWaitMs: 60_000 }, "hold"],
  ] as const)("%s", (_name, input, route) => {
    expect(chooseRoute(input, settings).route).toBe(route);
  });

  const processor = fc.record({
    usable: fc.boolean(),
    latencyMs: fc.double({ min: 0.1, max: 60_000, noNaN: true }),
    capacityPerSecond: fc.double({ min: 0, max: 10_000, noNaN: true }),
  });
  const anyInput: fc.Arbitrary<RouteInput> = fc.record({
    default: processor,
    fallback: processor,
    backlog: fc.nat(1_000_000),
    arrivalPerSecond: fc.double({ min: 0, max: 10_000, noNaN: true }),
    oldestWaitMs: fc.nat(600_000),
  });

  it("never names a processor that is not usable, and never waits past the deadline while one is", () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const { route } = chooseRoute(input, settings);
        if (route !== "hold") expect(input[route].usable).toBe(true);
        if (input.oldestWaitMs > settings.maxHoldMs && (input.default.usable || input.fallback.usable)) {
          expect(route).not.toBe("hold");
        }
      }),
    );
  });

  it("goes to the fallback only where waiting for the default would cost the deadline", () => {
    fc.assert(
      fc.property(anyInput, fc.double({ min: 1, max: 29_000, noNaN: true }), (drawn, latencyMs) => {
        const input = {
          default: { ...drawn.default, latencyMs },
          fallback: { ...drawn.fallback, latencyMs },
          ...idle,
        };
        expect(chooseRoute(input, settings).route).not.toBe("fallback");
      }),
    );
  });
});
