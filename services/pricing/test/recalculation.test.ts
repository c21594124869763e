import { AppError } from "@pricing-engine/chassis/errors";
import type { RecalculationData } from "@pricing-engine/contracts";
import { withTransaction } from "@pricing-engine/postgres";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readCandidates } from "../src/adapters/candidate-reader.ts";
import { publishDecisions } from "../src/adapters/price-publisher.ts";
import {
  byDemand,
  doubled,
  makeTestService,
  product,
  readOutbox,
  readPrice,
  type TestService,
} from "./support/service.ts";

let service: TestService;
const ids = Array.from({ length: 25 }, (_, index) => `seat-${String(index).padStart(2, "0")}`);

beforeEach(async () => {
  service = await makeTestService({ chunkSize: 10 });
  for (const id of ids) await service.putProduct(id, product());
});

afterEach(() => service.close());

async function requestAll(): Promise<string> {
  const result = await service.publishMarketEvent({ type: "recalculate" });
  if (result.kind !== "published") throw new Error(result.kind);
  return result.taskId;
}

async function chunksOf(taskId: string): Promise<RecalculationData[]> {
  const messages = await readOutbox(service.pool, "kafka");
  return messages
    .map(({ payload }) => JSON.parse(payload))
    .flatMap(({ data }) => (data.taskId === taskId && "chunk" in data ? [data as RecalculationData] : []));
}

/** As consumers and clients do it: what could not be done in time (so many at once queue for their locks) comes again. */
async function delivered(handle: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await handle();
      return;
    } catch (error) {
      if (!(error instanceof AppError && error.retryable && error.code !== "internal")) throw error;
    }
  }
}

const sequences = async () =>
  (await service.pool.sql<{ s: number }[]>`select distinct sequence::int as s from pricing.prices`).map(({ s }) => s);

describe("a recalculation of everything", () => {
  it("is divided into chunks that cover every product once, and ends with the last of them", async () => {
    await service.setPolicy(doubled);
    const taskId = (await service.startRecalculation()) ?? "";
    const chunks = await chunksOf(taskId);
    expect(chunks.flatMap(({ productIds }) => productIds)).toEqual(ids);

    for (const chunk of chunks) {
      expect((await service.getTask(taskId))?.status).toBe("running");
      await service.recalculateChunk(chunk);
    }
    expect(await service.getTask(taskId)).toMatchObject({
      status: "succeeded",
      products: { total: 25, done: 25, changed: 25, failed: 0 },
    });
    expect((await readPrice(service.pool, "seat-07")).price_minor).toBe(2000);
  });

  it("counts a chunk once and takes its steps once, however often and wherever it is delivered", async () => {
    await service.setPolicy({ ...doubled, corridor: { maxStep: "0.10" } });
    const taskId = (await service.startRecalculation()) ?? "";
    const chunks = await chunksOf(taskId);
    await Promise.all([...chunks, ...chunks, ...chunks].map((chunk) => service.recalculateChunk(chunk)));
    for (const chunk of chunks) expect(await service.recalculateChunk(chunk)).toEqual({ kind: "repeated" });

    expect(await service.getTask(taskId)).toMatchObject({ status: "succeeded", products: { done: 25, changed: 25 } });
    expect(await sequences()).toEqual([2]);
    expect((await readPrice(service.pool, "seat-07")).price_minor).toBe(1100);
  });

  it("that changes no price leaves no sequence and no history behind", async () => {
    const taskId = await requestAll();
    await service.startRecalculation();
    for (const chunk of await chunksOf(taskId)) await service.recalculateChunk(chunk);

    expect(await service.getTask(taskId)).toMatchObject({ status: "succeeded", products: { done: 25, changed: 0 } });
    expect(await sequences()).toEqual([1]);
    const [{ n } = { n: 0 }] = await service.pool.sql<
      { n: number }[]
    >`select count(*)::int as n from pricing.price_history`;
    expect(n).toBe(25);
  });

  it("waits once: requests join the waiting one, and while one runs one more waits", async () => {
    const first = await requestAll();
    const joined = await Promise.all(Array.from({ length: 5 }, requestAll));
    expect(new Set(joined)).toEqual(new Set([first]));

    await service.startRecalculation();
    const later = await Promise.all(Array.from({ length: 5 }, requestAll));
    const [second = ""] = later;
    expect(new Set(later).size).toBe(1);
    expect(second).not.toBe(first);
    expect(await service.startRecalculation()).toBeUndefined();

    for (const chunk of await chunksOf(first)) await service.recalculateChunk(chunk);
    expect((await service.getTask(second))?.status).toBe("running");
    for (const chunk of await chunksOf(second)) await service.recalculateChunk(chunk);
    expect((await service.getTask(second))?.status).toBe("succeeded");
  });

  it("with an event id that joined a waiting one stays that task for ever", async () => {
    const first = await requestAll();
    const event = { type: "recalculate", event_id: "e-9" } as const;
    expect(await service.publishMarketEvent(event)).toEqual({ kind: "published", taskId: first });
    await service.startRecalculation();
    expect(await service.publishMarketEvent(event)).toEqual({ kind: "published", taskId: first });
  });

  it("of no products ends at once", async () => {
    for (const id of ids) await service.deleteProduct(id);
    const taskId = await requestAll();
    await service.startRecalculation();
    expect(await service.getTask(taskId)).toMatchObject({ status: "succeeded", products: { total: 0, done: 0 } });
  });

  it("ends as failed when a chunk is given up, and as succeeded once that chunk comes back", async () => {
    const taskId = await requestAll();
    await service.startRecalculation();
    const [lost, ...others] = await chunksOf(taskId);
    if (lost === undefined) throw new Error("no chunk");
    for (const chunk of others) await service.recalculateChunk(chunk);
    await service.failTask({ kind: "chunk", data: lost, error: "a fault" });
    expect(await service.getTask(taskId)).toMatchObject({
      status: "failed",
      error: "a fault",
      products: { total: 25, done: 15, failed: 10 },
    });
    await service.recalculateChunk(lost);
    expect(await service.getTask(taskId)).toMatchObject({ status: "succeeded", products: { done: 25, failed: 0 } });
    await service.failTask({ kind: "chunk", data: lost, error: "a late fault" });
    expect(await service.getTask(taskId)).toMatchObject({ status: "succeeded", products: { failed: 0 } });
  });

  it("whose messages were lost is sent again by the sweeper", async () => {
    const taskId = await requestAll();
    await service.pool.sql`delete from pricing.outbox`;
    await service.sweepTasks();
    expect((await service.getTask(taskId))?.status).toBe("running");
    await service.pool.sql`delete from pricing.outbox`;
    await service.sweepTasks();
    for (const chunk of await chunksOf(taskId)) await service.recalculateChunk(chunk);
    expect((await service.getTask(taskId))?.status).toBe("succeeded");
  });

  it("is due on its schedule once, whoever asks", async () => {
    const asked = await Promise.all(Array.from({ length: 6 }, () => service.scheduleRecalculation(3_600_000)));
    expect(asked.filter((taskId) => taskId !== undefined)).toHaveLength(1);
    expect(await service.scheduleRecalculation(3_600_000)).toBeUndefined();
    expect(await service.scheduleRecalculation(0)).toBeUndefined();
  });
});

describe("publishing", () => {
  /** A worker that has read and decided, and is then paused before it publishes. */
  async function decideLate(productId: string) {
    const [candidate] = await withTransaction(service.pool, (tx) => readCandidates(tx, [productId]), {
      deadlineMs: 5000,
    });
    if (candidate === undefined) throw new Error("no candidate");
    const decision = {
      productId,
      fence: candidate.fence,
      factsRevision: candidate.factsRevision,
      policyVersion: candidate.policyVersion,
      decidedAtMs: candidate.nowMs,
      decisionId: "01900000-0000-7000-8000-000000000000",
      priceMinor: 1,
      currency: "EUR",
      basePriceMinor: 1000,
      costMinor: undefined,
      facts: candidate.facts,
      steps: [],
      shadow: [],
      skipped: [],
      bindingRule: undefined,
      reason: "decided long ago",
      fresh: true,
    };
    return (changes: Partial<typeof decision> = {}) =>
      withTransaction(service.pool, (tx) => publishDecisions(tx, [{ ...decision, ...changes }]), { deadlineMs: 5000 });
  }

  it("of a zombie that wakes up changes nothing: not over a newer price", async () => {
    const zombie = await decideLate("seat-00");
    await service.putProduct("seat-00", product({ base_price: "12.00" }));
    expect(await zombie()).toEqual(new Set());
    expect(await readPrice(service.pool, "seat-00")).toMatchObject({ price_minor: 1200, sequence: 2 });
  });

  it("of a zombie changes nothing: not over a decision that left the price as it was", async () => {
    await service.setPolicy(byDemand);
    const zombie = await decideLate("seat-00");
    await service.applyMarketEvent({
      id: "e",
      data: { kind: "stock", productId: "seat-00", stock: 3, observedAt: "2026-01-01T00:00:00.000Z" },
    });
    expect(await readPrice(service.pool, "seat-00")).toMatchObject({ sequence: 1, facts_revision: 2 });
    expect(await zombie()).toEqual(new Set());
  });

  it("of a zombie changes nothing: not under an older policy, and not with an earlier now", async () => {
    const zombie = await decideLate("seat-00");
    await service.setPolicy(byDemand);
    const taskId = (await service.startRecalculation()) ?? "";
    for (const chunk of await chunksOf(taskId)) await service.recalculateChunk(chunk);
    // Neither sequence nor facts have moved, so nothing but these two tells the decisions apart.
    expect(await readPrice(service.pool, "seat-00")).toMatchObject({
      sequence: 1,
      facts_revision: 1,
      policy_version: 1,
    });
    expect(await zombie()).toEqual(new Set());
    expect(await zombie({ policyVersion: 1 })).toEqual(new Set());
    const { decided_ms } = await readPrice(service.pool, "seat-00");
    expect(await zombie({ policyVersion: 1, decidedAtMs: decided_ms + 1 })).toEqual(new Set(["seat-00"]));
  });

  it("by events, chunks and writes at once leaves what publish makes of the newest facts", async () => {
    await service.setPolicy(byDemand);
    const second = await makeTestService({ database: service.database, chunkSize: 5 });
    const taskId = (await service.startRecalculation()) ?? "";
    const chunks = await chunksOf(taskId);
    const observedAt = (index: number) => new Date(Date.UTC(2026, 0, 1) + index * 1000).toISOString();
    const work = ids.flatMap((productId, index) =>
      [1, 2, 3].map(
        (demand) => () =>
          (demand % 2 ? service : second).applyMarketEvent({
            id: `${productId}-${demand}`,
            data: { kind: "demand", productId, demand, observedAt: observedAt(demand + index) },
          }),
      ),
    );
    await Promise.all([
      ...work.map((apply) => delivered(apply)),
      ...chunks.flatMap((chunk) =>
        [service, second].map((replica) => delivered(() => replica.recalculateChunk(chunk))),
      ),
      ...ids.slice(0, 5).map((id) => delivered(() => second.putProduct(id, product({ base_price: "20.00" })))),
    ]);
    await second.close();

    const rows = await service.pool.sql<
      { id: string; price: number; revision: number; known: number; policy: number }[]
    >`
      select product_id as id, price_minor::int as price, facts_revision::int as revision, p.revision::int as known,
        policy_version::int as policy
      from pricing.prices join pricing.products p using (product_id) order by product_id`;
    expect(rows.map(({ price }) => price)).toEqual(ids.map((_, index) => (index < 5 ? 6000 : 3000)));
    expect(rows.every(({ revision, known, policy }) => revision === known && policy === 1)).toBe(true);
    const [gaps] = await service.pool.sql<{ n: number }[]>`
      select count(*)::int as n from pricing.prices r
      where r.sequence <> (select count(*) from pricing.price_history h where h.product_id = r.product_id)`;
    expect(gaps?.n).toBe(0);
  });
});
