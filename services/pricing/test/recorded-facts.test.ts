import { policySchema } from "@pricing-engine/contracts";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makeCompiledPolicies } from "../src/adapters/compiled-policies.ts";
import { publish } from "../src/domain/publish.ts";
import { recordSteps } from "../src/domain/steps.ts";
import type { MarketFacts } from "../src/domain/types.ts";
import { byDemand, doubled, makeTestService, product, type TestService } from "./support/service.ts";

let service: TestService;
beforeEach(async () => {
  service = await makeTestService({ chunkSize: 2 });
});
afterEach(() => service.close());

/** All that a price can depend on: signals, stock, cost, the clock, the last price, a corridor, rounding, a shadow rule. */
const demanding = policySchema.parse({
  market: [
    { name: "demand", when: "signals.demand > 1.0", adjust: { multiply: "signals.demand" }, reason: "Demand" },
    { name: "scarce", when: "product.stock < 5", adjust: { add: "1.37" }, reason: "Few are left" },
    { name: "rival", when: "signals.competitor_price > 0.0", adjust: { set: "signals.competitor_price - 0.01" } },
    { name: "late", when: "now > timestamp('2020-01-01T00:00:00Z')", adjust: { multiply: "1.01" } },
    { name: "trial", adjust: { multiply: "3.0" }, mode: "shadow" },
  ],
  corridor: { minMargin: "0.1", floor: "2", ceiling: "40", maxStep: "0.3" },
  rounding: { increment: "0.10", ending: "0.09" },
});
const policies = [byDemand, doubled, demanding];

const productId = fc.constantFrom("a", "b", "c");
const cents = fc.integer({ min: 100, max: 5000 }).map((minor) => (minor / 100).toFixed(2));
const action = fc.oneof(
  fc.record({
    kind: fc.constant("put" as const),
    productId,
    base_price: cents,
    cost: fc.option(cents),
    stock: fc.option(fc.nat(9)),
  }),
  fc.record({ kind: fc.constant("demand" as const), productId, demand: fc.constantFrom(0.5, 1, 1.33, 2.75) }),
  fc.record({ kind: fc.constant("competitor_price" as const), productId, price: cents }),
  fc.record({ kind: fc.constant("stock" as const), productId, stock: fc.nat(9) }),
  fc.record({ kind: fc.constant("cost" as const), productId, cost: cents }),
  fc.record({ kind: fc.constant("policy" as const), policy: fc.constantFrom(...policies) }),
  fc.record({ kind: fc.constant("delete" as const), productId }),
);
type Action = typeof action extends fc.Arbitrary<infer Value> ? Value : never;

interface Recorded {
  price_minor: number;
  currency: string;
  policy_version: number;
  decided_ms: number;
  facts: MarketFacts;
  steps: unknown;
  shadow: unknown;
  skipped: unknown;
  binding_rule: string | null;
  reason: string;
}

async function act(each: Action): Promise<void> {
  switch (each.kind) {
    case "put": {
      const { kind: _kind, productId: id, ...fields } = each;
      await service.putProduct(id, product(fields));
      return;
    }
    case "delete":
      await service.deleteProduct(each.productId);
      return;
    case "policy": {
      await service.setPolicy(each.policy);
      const taskId = await service.startRecalculation();
      if (taskId === undefined) return;
      const messages = await service.pool.sql<{ payload: string }[]>`
        select payload from pricing.outbox where sink = 'kafka' order by id`;
      for (const { payload } of messages) {
        const { data } = JSON.parse(payload);
        if (data.taskId === taskId && "chunk" in data) await service.recalculateChunk(data);
      }
      return;
    }
    default: {
      const { kind, productId: product_id, ...fields } = each;
      const published = await service.publishMarketEvent({ type: kind, product_id, ...fields } as Parameters<
        typeof service.publishMarketEvent
      >[0]);
      if (published.kind !== "published") return;
      const [message] = await service.pool.sql<{ payload: string }[]>`
        select payload from pricing.outbox where sink = 'kafka' order by id desc limit 1`;
      await service.applyMarketEvent(JSON.parse(message?.payload ?? ""));
    }
  }
}

it("every price that was ever published is what publish makes of the facts recorded with it", async () => {
  for (const id of ["a", "b", "c"]) await service.putProduct(id, product());
  for (const each of fc.sample(action, { numRuns: 100, seed: 20_260_131 })) await act(each);

  const recorded = await service.pool.sql<Recorded[]>`
    select price_minor::float8 as price_minor, currency, policy_version::float8 as policy_version, facts, steps, shadow, skipped,
      binding_rule, reason, extract(epoch from decided_at)::float8 * 1000 as decided_ms
    from (
      select price_minor, currency, policy_version, facts, steps, shadow, skipped, binding_rule, reason, decided_at
      from pricing.price_history
      union all
      select price_minor, currency, policy_version, facts, steps, shadow, skipped, binding_rule, reason, decided_at
      from pricing.prices where price_minor is not null
    ) as everything`;
  const compiled = makeCompiledPolicies();
  for (const row of recorded) {
    const { policy, signalTtlMs } = await compiled.get(service.pool, row.policy_version);
    const price = publish(row.facts, policy, { nowMs: Math.round(row.decided_ms), signalTtlMs });
    expect({
      price_minor: price.priceMinor,
      currency: price.currency,
      steps: recordSteps(price.steps, price.currency),
      shadow: recordSteps(price.shadow, price.currency),
      skipped: price.skipped,
      binding_rule: price.bindingRule ?? null,
      reason: price.reason,
    }).toEqual({
      price_minor: row.price_minor,
      currency: row.currency,
      steps: row.steps,
      shadow: row.shadow,
      skipped: row.skipped,
      binding_rule: row.binding_rule,
      reason: row.reason,
    });
  }
  // The walk went where prices come from different rules, or it would show little.
  const rules = new Set(recorded.flatMap(({ steps }) => (steps as { rule: string }[]).map(({ rule }) => rule)));
  for (const rule of ["demand", "scarce", "rival", "late", "double", "corridor.max_step"])
    expect(rules).toContain(rule);
  expect(recorded.length).toBeGreaterThan(40);
});
