import { policySchema } from "@pricing-engine/contracts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { byDemand, doubled, makeTestService, readOutbox, type TestService } from "./support/service.ts";

let service: TestService;

beforeEach(async () => {
  service = await makeTestService();
});

afterEach(() => service.close());

const ttlMs = { demand: 1, competitor_price: 1, stock: 1, cost: 1 };
const document = (epoch: number, revision: number, policy = doubled) => ({
  epoch,
  revision,
  pricing: { policy, signals: { ttlMs } },
});
const versions = () => service.pool.sql`select version::int as version, policy from pricing.policies order by version`;

describe("a policy from the live settings", () => {
  it("gets one version and one recalculation, however many replicas bring it", async () => {
    const second = await makeTestService({ database: service.database });
    const results = await Promise.all(
      [service, second, service, second].map((replica) => replica.applySettings(document(1, 1))),
    );
    await second.close();

    expect(results.filter(({ kind }) => kind === "inserted")).toHaveLength(1);
    expect(await versions()).toHaveLength(2);
    const messages = await readOutbox(service.pool, "kafka");
    expect(messages.map(({ payload }) => JSON.parse(payload).data.kind)).toEqual(["recalculate"]);
    expect((await readOutbox(service.pool, "policy")).map(({ payload }) => payload)).toEqual(["1"]);
  });

  it("never comes back from an older document, also when the newer one said nothing new", async () => {
    await service.applySettings(document(1, 1));
    expect(await service.applySettings(document(1, 5))).toMatchObject({ kind: "unchanged", version: 1 });
    expect(await service.applySettings(document(1, 3, byDemand))).toMatchObject({ kind: "older" });
    expect(await service.applySettings(document(0, 9, byDemand))).toMatchObject({ kind: "older" });
    expect(await versions()).toHaveLength(2);
    expect(await service.applySettings(document(2, 1, byDemand))).toMatchObject({ kind: "inserted", version: 2 });
  });

  it("gets a version for another time to live too: prices follow from it", async () => {
    await service.applySettings(document(1, 1));
    const longer = { ...document(1, 2), pricing: { policy: doubled, signals: { ttlMs: { ...ttlMs, cost: 2 } } } };
    expect(await service.applySettings(longer)).toMatchObject({ kind: "inserted", version: 2 });
  });

  it("that does not compile is refused with its rule and position, and the last good one stays", async () => {
    await service.applySettings(document(1, 1));
    const bad = policySchema.parse({
      market: [{ name: "broken", when: "signals.demand >", adjust: { multiply: "1.0" } }],
    });
    const refused = await service.applySettings(document(1, 2, bad));
    expect(refused).toMatchObject({ kind: "refused", errors: [{ rule: "broken", field: "when", index: 0 }] });
    expect(await versions()).toHaveLength(2);
  });
});
