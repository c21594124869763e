import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { byDemand, makeTestService, product, readOutbox, readPrice, type TestService } from "./support/service.ts";

let service: TestService;

beforeEach(async () => {
  service = await makeTestService();
  await service.setPolicy(byDemand);
  await service.putProduct("seat", product());
});

afterEach(() => service.close());

const baseMs = Date.UTC(2026, 0, 1);
const demand = (value: number, secondsLater = 0) => ({
  kind: "demand" as const,
  productId: "seat",
  demand: value,
  observedAt: new Date(baseMs + secondsLater * 1000).toISOString(),
});
const priceOf = async () => (await readPrice(service.pool, "seat")).price_minor;

describe("an event that is published", () => {
  it("is a task that can be read at once, and a message", async () => {
    const published = await service.publishMarketEvent({ type: "demand", product_id: "seat", demand: 2 });
    if (published.kind !== "published") throw new Error(published.kind);

    expect(await service.getTask(published.taskId)).toMatchObject({
      type: "demand",
      status: "queued",
      products: { total: 1, done: 0, changed: 0, failed: 0 },
      finished_at: null,
    });
    const messages = await readOutbox(service.pool, "kafka");
    expect(JSON.parse(messages.at(-1)?.payload ?? "")).toMatchObject({
      id: published.taskId,
      data: { kind: "demand", productId: "seat", demand: 2, taskId: published.taskId },
    });
  });

  it("with the event id of another one is that one, however many come at once", async () => {
    const event = { type: "demand", product_id: "seat", demand: 2, event_id: "e-1" } as const;
    const all = await Promise.all(Array.from({ length: 8 }, () => service.publishMarketEvent(event)));

    expect(new Set(all.map((result) => JSON.stringify(result))).size).toBe(1);
    expect(await readOutbox(service.pool, "kafka")).toHaveLength(2);
    await service.deleteProduct("seat");
    expect(await service.publishMarketEvent(event)).toEqual(all[0]);
    expect(await service.publishMarketEvent({ ...event, event_id: "e-2" })).toEqual({ kind: "unknown_product" });
  });

  it.each([
    ["of a product that is not there", { type: "stock", product_id: "nope", stock: 1 } as const],
    ["of a product that was deleted", { type: "stock", product_id: "gone", stock: 1 } as const],
  ])("%s is refused", async (_, event) => {
    await service.putProduct("gone", product());
    await service.deleteProduct("gone");
    expect(await service.publishMarketEvent(event)).toEqual({ kind: "unknown_product" });
  });

  it("observed more than 60 s ahead is refused, and up to that it is taken", async () => {
    const at = (aheadMs: number) => new Date(Date.now() + aheadMs).toISOString();
    const event = { type: "demand", product_id: "seat", demand: 2 } as const;
    await expect(service.publishMarketEvent({ ...event, observed_at: at(70_000) })).rejects.toMatchObject({
      code: "validation_failed",
      fieldErrors: [{ pointer: "/observed_at" }],
    });
    expect(await service.publishMarketEvent({ ...event, observed_at: at(50_000) })).toMatchObject({
      kind: "published",
    });
  });

  it("with more decimals than the currency has is refused", async () => {
    await service.putProduct("yen", product({ base_price: "1000", currency: "JPY" }));
    const event = { type: "cost", product_id: "yen", cost: "10.50" } as const;
    await expect(service.publishMarketEvent(event)).rejects.toMatchObject({ code: "unprocessable" });
  });
});

describe("an event that is applied", () => {
  it("changes the price and ends its task", async () => {
    const published = await service.publishMarketEvent({ type: "demand", product_id: "seat", demand: 2 });
    if (published.kind !== "published") throw new Error(published.kind);
    const { taskId } = published;
    const event = { id: taskId, data: { ...demand(2), taskId } };

    expect(await service.applyMarketEvent(event)).toEqual({ kind: "applied", changed: true });
    expect(await service.getTask(taskId)).toMatchObject({ status: "succeeded", products: { done: 1, changed: 1 } });
    expect(await priceOf()).toBe(2000);

    const before = await readPrice(service.pool, "seat");
    expect(await service.applyMarketEvent(event)).toEqual({ kind: "repeated" });
    expect(await readPrice(service.pool, "seat")).toEqual(before);
  });

  it("of its future, from a sender that nobody checked, is the message's fault", async () => {
    const observedAt = new Date(Date.now() + 120_000).toISOString();
    const event = { id: "e", data: { ...demand(2), observedAt } };
    await expect(service.applyMarketEvent(event)).rejects.toMatchObject({ code: "invalid_message" });
    expect(await priceOf()).toBe(1000);
  });

  it("that is older than what is known is skipped, and says so in its task", async () => {
    const newer = { type: "demand", product_id: "seat", demand: 3 } as const;
    await service.applyMarketEvent({ id: "new", data: demand(3, 10) });
    const published = await service.publishMarketEvent({ ...newer, observed_at: demand(2, 5).observedAt });
    if (published.kind !== "published") throw new Error(published.kind);
    const { taskId } = published;
    await service.applyMarketEvent({ id: taskId, data: { ...demand(2, 5), taskId } });

    expect(await service.getTask(taskId)).toMatchObject({ status: "skipped", error: "A newer observation is known" });
    expect(await priceOf()).toBe(3000);
  });

  it("takes one step of maxStep, not one per delivery, also when deliveries run side by side", async () => {
    await service.setPolicy({ ...byDemand, corridor: { maxStep: "0.10" } });
    const event = { id: "e", data: demand(9) };
    const results = await Promise.all(Array.from({ length: 6 }, () => service.applyMarketEvent(event)));

    expect(results.filter(({ kind }) => kind === "applied")).toHaveLength(1);
    expect(await priceOf()).toBe(1100);
  });
});

it("whatever the order, the repeats and the workers, what was observed last decides", async () => {
  const events = fc.uniqueArray(fc.record({ second: fc.nat(5), value: fc.integer({ min: 1, max: 9 }) }), {
    selector: ({ second, value }) => `${second}/${value}`,
    minLength: 2,
    maxLength: 6,
  });
  const delivery = fc.gen();
  let round = 0;
  await fc.assert(
    fc.asyncProperty(events, delivery, async (observed, gen) => {
      round += 1;
      const productId = `seat-${round}`;
      await service.putProduct(productId, product());
      const messages = observed.map(({ second, value }, index) => ({
        id: `${round}-${index}`,
        data: { ...demand(value, second), productId },
      }));
      const repeated = [...messages, ...messages].toSorted(() => gen(fc.integer, { min: -1, max: 1 }));
      await Promise.all(repeated.map((message) => service.applyMarketEvent(message)));

      const last = messages.reduce((a, b) =>
        a.data.observedAt < b.data.observedAt || (a.data.observedAt === b.data.observedAt && a.id < b.id) ? b : a,
      );
      expect((await readPrice(service.pool, productId)).price_minor).toBe(last.data.demand * 1000);
    }),
    { numRuns: 25 },
  );
});
