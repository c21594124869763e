import { registry } from "@pricing-engine/chassis/metrics";
import { paymentSettings } from "@pricing-engine/contracts";
import { expect, it } from "vitest";
import { makeTraffic } from "../usecases/traffic.ts";
import { exposeTraffic } from "./metrics.ts";

it("a scrape shows the traffic of its moment, the first one too", async () => {
  const clock = { nowMs: () => 2_000, monotonicMs: () => 0, sleep: () => Promise.resolve() };
  const traffic = makeTraffic({ clock, settings: paymentSettings.parse({}) });
  let inHand = 0;
  exposeTraffic(traffic, () => inHand);
  const scrape = async () =>
    (await registry.metrics())
      .split("\n")
      .filter((line) =>
        /^pricing_engine_payment_(?:limit|processor|breaker|running|route|held|oldest|in_hand)/.test(line),
      )
      .map((line) => line.replace("pricing_engine_payment_", ""));
  const idle = [
    'limit{processor="default"} 64',
    'limit{processor="fallback"} 64',
    'processor_usable{processor="default"} 1',
    'processor_usable{processor="fallback"} 1',
    'breaker{processor="default"} 0',
    'breaker{processor="fallback"} 0',
    'running{processor="default"} 0',
    'running{processor="fallback"} 0',
    'route{route="default"} 1',
    'route{route="fallback"} 0',
    'route{route="hold"} 0',
    "held 0",
    "oldest_waiting_seconds 0",
    "in_hand 0",
  ];
  expect(await scrape()).toEqual(idle);

  // Both refuse until their breakers open: nothing goes anywhere.
  for (const processor of ["default", "fallback"] as const) {
    for (let slot = traffic.tryAt(processor); slot !== undefined; slot = traffic.tryAt(processor)) {
      traffic.answered(slot, { kind: "refused", reason: "500", overloaded: false }, 1);
    }
  }
  inHand = 3;
  const held = traffic.acquire(7, 0, AbortSignal.timeout(60_000));
  held.catch(() => undefined);
  expect(await scrape()).toEqual([
    ...idle.slice(0, 2),
    'processor_usable{processor="default"} 0',
    'processor_usable{processor="fallback"} 0',
    'breaker{processor="default"} 2',
    'breaker{processor="fallback"} 2',
    ...idle.slice(6, 8),
    'route{route="default"} 0',
    'route{route="fallback"} 0',
    'route{route="hold"} 1',
    "held 7",
    "oldest_waiting_seconds 2",
    "in_hand 3",
  ]);
});
