import { randomUUID } from "node:crypto";
import { getPriority } from "node:os";
import { eventually, watchSessionSetting } from "@pricing-engine/testkit";
import { describe, expect, it } from "vitest";
import { getPayment, getSummary, startPayments, unhurried } from "./support/payments.ts";

describe("payments from Kafka to the processors", { timeout: 240_000 }, () => {
  it("settles each once, answers for it, and sums up what the processors say", async () => {
    const { routing, env } = unhurried;
    await using payments = await startPayments({ settings: { payment: { routing } }, env });
    const seen = await watchSessionSetting(payments.pool.sql, {
      ...{ setting: "enable_seqscan", table: "payment.payments", on: "insert" },
    });
    const [api, worker] = await Promise.all([payments.startApi(), payments.startWorker()]);
    expect(getPriority(worker.pid)).toBe(5);
    const accepted = await payments.accept(300);
    // A client that repeats itself, once with another amount.
    const [first, second] = accepted;
    if (first === undefined || second === undefined) throw new Error("nothing was accepted");
    await payments.charge([
      { source: "api", ...first },
      { source: "api", correlationId: second.correlationId, amountMinor: 1 },
    ]);
    await payments.settled(accepted);
    expect(await seen()).toEqual({ "payment-worker": ["off"] });
    expect(await payments.audit(accepted)).toEqual({ default: 300, fallback: 0 });
    expect(await getSummary(api)).toEqual({
      default: { totalRequests: 300, totalAmount: 6015 },
      fallback: { totalRequests: 0, totalAmount: 0 },
    });
    const { status, body } = await getPayment(api, first.correlationId.toUpperCase());
    expect(status).toBe(200);
    expect(body).toMatchObject({ state: "settled", processor: "default", attempts: 1, amount: 20.05 });
    expect(body.conflict).toBeUndefined();
    await eventually(async () => {
      expect((await getPayment(api, second.correlationId)).body.conflict).toEqual({ amount: 0.01 });
    });
    const missing = await fetch(`${api.url}/payments/${randomUUID()}`);
    expect([missing.status, missing.headers.get("retry-after")]).toEqual([404, "1"]);

    await payments.pool.sql`
      insert into payment.outbox (bucket, sink, aggregate, topic, payload, attempts, parked_at)
      values (0, 'kafka', 'an order', 'payment-events', '{}', 5, now())`;
    const metrics = await (await fetch(`http://127.0.0.1:${worker.metricsPort}/metrics`)).text();
    expect(metrics).toMatch(/^pricing_engine_outbox_parked\{sink="kafka"\} 1$/m);
    expect(metrics).toMatch(/^pricing_engine_outbox_depth\{sink="kafka"\} 0$/m);
    expect(metrics).toMatch(/^pricing_engine_outbox_age_seconds\{sink="kafka"\} 0$/m);
  });
});
