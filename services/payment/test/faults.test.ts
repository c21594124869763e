import { eventually } from "@pricing-engine/testkit";
import { describe, expect, it } from "vitest";
import { getPayment, getSummary, startPayments, unhurried } from "./support/payments.ts";

const none = 0;

describe("what goes wrong with the worker", { timeout: 240_000 }, () => {
  it("is killed in mid-work: the next one finishes, and nobody is charged twice", async () => {
    await using payments = await startPayments();
    await payments.processors.default.set("delay", 300);
    const first = await payments.startWorker();
    const accepted = await payments.accept(400);
    await eventually(async () => (await payments.processors.default.dump()).length > 50, { timeoutMs: 60_000 });
    await first.kill();
    await payments.startWorker();
    await payments.settled(accepted);
    await payments.audit(accepted);
  });

  it("sleeps while another takes over, and wakes up with calls and writes in hand", async () => {
    await using payments = await startPayments();
    await payments.processors.default.set("delay", 500);
    const zombie = await payments.startWorker();
    const accepted = await payments.accept(400);
    await eventually(async () => (await payments.processors.default.dump()).length > 20, { timeoutMs: 60_000 });
    zombie.pause();
    await payments.startWorker();
    await payments.settled(accepted, 50_000);
    zombie.resume();
    const more = await payments.accept(100);
    await payments.settled([...accepted, ...more]);
    await payments.audit([...accepted, ...more]);
    const [owners] = await payments.pool.sql<{ epoch: number }[]>`
      select max(epoch)::int as epoch from payment.partition_owners`;
    expect(owners?.epoch).toBeGreaterThan(1);
  });

  it("shares the partitions with a second one that comes later", async () => {
    await using payments = await startPayments();
    await payments.startWorker();
    const accepted = await payments.accept(200);
    const [second] = await Promise.all([payments.startWorker(), payments.settled(accepted)]);
    const more = await payments.accept(200);
    await second.stop();
    const last = await payments.accept(100);
    const all = [...accepted, ...more, ...last];
    await payments.settled(all, 50_000);
    await payments.audit(all);
  });
});

describe("what goes wrong with processors", { timeout: 240_000 }, () => {
  it.each(["drop-before", "drop-after", "page", "garbage", "error-after", "trickle", "hang-after", "hang-before"])(
    "%s: asked again there, charged once",
    async (fault) => {
      await using payments = await startPayments({ env: { PAYMENT_TIMEOUT_MS: "700" } });
      await payments.processors.default.fault(fault, 0.2);
      const [api] = await Promise.all([payments.startApi(), payments.startWorker()]);
      const accepted = await payments.accept(60);
      await eventually(
        async () => {
          const [row] = await payments.pool.sql<{ count: number }[]>`
            select count(*)::int as count from payment.payments where attempts > 1`;
          return (row?.count ?? none) > 0;
        },
        { timeoutMs: 60_000 },
      );
      await payments.processors.default.fault("none", 0);
      await payments.settled(accepted);
      await payments.audit(accepted);
      const [dear, summary] = [await payments.processors.fallback.summary(), await getSummary(api)];
      expect(summary.fallback).toEqual(dear);
      expect(summary.default).toEqual(await payments.processors.default.summary());
    },
  );

  it("both fail for a while: all is held, then drained, and nothing dropped", async () => {
    const routing = { ...unhurried.routing, maxHoldMs: 2000 };
    await using payments = await startPayments({ settings: { payment: { routing } }, env: unhurried.env });
    await payments.processors.default.set("failure", true);
    await payments.processors.fallback.set("failure", true);
    await payments.startWorker();
    const accepted = await payments.accept(3000);
    await eventually(
      async () => {
        const [row] = await payments.pool.sql<{ count: number }[]>`select count(*)::int as count from payment.payments`;
        return (row?.count ?? none) > 0;
      },
      { timeoutMs: 60_000 },
    );
    const later = await payments.accept(500);
    const [open] = await payments.pool.sql<{ count: number }[]>`select count(*)::int as count from payment.payments`;
    // What waits does so in Kafka: only what found out about it was ever written.
    expect(open?.count).toBeLessThan(1000);
    const [pinned] = await payments.pool.sql<{ count: number }[]>`
      select count(*)::int as count from payment.payments where state = 'unknown' or state = 'settled'`;
    expect(pinned?.count).toBe(none);
    await payments.processors.fallback.set("failure", false);
    await payments.settled([...accepted, ...later], 50_000);
    const at = await payments.audit([...accepted, ...later]);
    expect(at.default).toBe(none);
  });

  it("the default fails: held for it while the deadline allows, then sent to the fallback, and back", async () => {
    const routing = { ...unhurried.routing, maxHoldMs: 1500 };
    await using payments = await startPayments({ settings: { payment: { routing } }, env: unhurried.env });
    await payments.startWorker();
    const before = await payments.accept(50);
    await payments.settled(before);
    const recordedBy = async () => {
      const { default: cheap, fallback } = payments.processors;
      return { default: (await cheap.dump()).length, fallback: (await fallback.dump()).length };
    };
    const well = await recordedBy();
    await payments.processors.default.set("failure", true);
    const during = await payments.accept(100);
    await payments.settled([...before, ...during]);
    expect(await recordedBy()).toEqual({ ...well, fallback: well.fallback + 100 });
    await payments.processors.default.set("failure", false);
    // One payment at a time finds out that it is back; from then on it has them all again.
    const probes: typeof before = [];
    await eventually(
      async () => {
        probes.push(...(await payments.accept(1)));
        await payments.settled([...before, ...during, ...probes]);
        return (await recordedBy()).default > well.default;
      },
      { timeoutMs: 60_000 },
    );
    const atFallback = (await recordedBy()).fallback;
    const all = [...before, ...during, ...probes, ...(await payments.accept(50))];
    await payments.settled(all);
    expect((await payments.audit(all)).fallback).toBe(atFallback);
  });

  it("is away, and its port refuses: nothing is pinned to it", async () => {
    await using payments = await startPayments({ settings: { payment: { routing: { maxHoldMs: 500 } } } });
    await payments.processors.default.service.kill();
    await payments.startWorker();
    const accepted = await payments.accept(100);
    await payments.settled(accepted);
    expect((await payments.processors.fallback.dump()).length).toBe(100);
  });

  it("is misconfigured: the payment stays there, asked again, and the others go round it", async () => {
    await using payments = await startPayments({ settings: { payment: { routing: { maxHoldMs: 500 } } } });
    const [api] = await Promise.all([
      payments.startApi(),
      payments.startWorker({ PAYMENT_DEFAULT_URL: `${payments.processors.default.url}/wrong` }),
    ]);
    const accepted = await payments.accept(200);
    await eventually(async () => (await payments.processors.fallback.dump()).length > 0, { timeoutMs: 60_000 });
    await eventually(async () => {
      const rows = await payments.pool.sql<{ correlation_id: string }[]>`
        select correlation_id from payment.payments where state = 'unknown' limit 1`;
      const { body } = await getPayment(api, rows[0]?.correlation_id ?? "");
      expect(body).toMatchObject({ state: "unknown", processor: "default" });
    });
    expect(accepted.length).toBe(200);
  });

  it("already has the id with another amount: settled there, and marked for a person", async () => {
    await using payments = await startPayments();
    const [api] = await Promise.all([payments.startApi(), payments.startWorker()]);
    const correlationId = crypto.randomUUID();
    const foreign = await fetch(`${payments.processors.default.url}/payments`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ correlationId, amount: 1, requestedAt: new Date().toISOString() }),
    });
    expect(foreign.status).toBe(200);
    await payments.charge([{ source: "api", correlationId, amountMinor: 2005 }]);
    await eventually(
      async () => {
        const { body } = await getPayment(api, correlationId);
        expect(body).toMatchObject({ state: "settled", review: "the processor has the amount 1" });
      },
      { timeoutMs: 60_000 },
    );
  });
});
