import { randomUUID } from "node:crypto";
import { paymentEventMessage, topicName, topics } from "@pricing-engine/contracts";
import { decodeEnvelope, makeKafka, makeProducer, runConsumer } from "@pricing-engine/kafka";
import { eventually, infra } from "@pricing-engine/testkit";
import { describe, expect, it } from "vitest";
import { runManualReview } from "../src/roles/manual-review.ts";
import { runRelease } from "../src/roles/release.ts";
import { runReviewed } from "../src/roles/reviewed.ts";
import { silent } from "./support/database.ts";
import { type RunningPayments, startPayments, unhurried } from "./support/payments.ts";

const patience = { timeoutMs: 60_000 };

/** What orders hear, by order id. */
function listen(payments: RunningPayments) {
  const kafka = makeKafka({ brokers: [infra().kafkaBrokers], clientId: "orders-test", logger: silent });
  const producer = makeProducer({ kafka });
  const heard = new Map<string, string[]>();
  const consumer = runConsumer({
    kafka,
    producer,
    groupId: `${payments.prefix}test`,
    topics: [topicName(payments.prefix, topics.paymentEvents)],
    retry: { attempts: 1 },
    isOutage: () => false,
    logger: silent,
    handle: async ({ value }) => {
      const { data } = decodeEnvelope(paymentEventMessage, value);
      heard.set(data.orderId, [...(heard.get(data.orderId) ?? []), data.kind]);
    },
  });
  return {
    heard,
    [Symbol.asyncDispose]: async () => {
      await consumer.stop();
      await producer.close();
    },
  };
}

function makeOrder(deadlineInMs = 60_000) {
  const orderId = `order-${randomUUID()}`;
  const correlationId = randomUUID();
  const deadline = new Date(Date.now() + deadlineInMs).toISOString();
  const common = { correlationId, orderId, amountMinor: 2000 };
  return { ...common, charge: { source: "order", ...common, deadline } as const, common };
}

describe("charges of orders", { timeout: 240_000 }, () => {
  it("settles, refunds when cancelled, expires what is late, ends what was never sent, and leaves the rest to people", async () => {
    const { routing, env } = unhurried;
    await using payments = await startPayments({ settings: { payment: { routing } }, env });
    await using events = listen(payments);
    await payments.startWorker();
    const [plain, cancelled, late, early, expired] = [
      makeOrder(),
      makeOrder(),
      makeOrder(-1000),
      makeOrder(),
      makeOrder(),
    ] as const;
    // Controls may come before their charge.
    await payments.control({ action: "cancel", ...early.common });
    await payments.control({ action: "expire", ...expired.common });
    const heardOf = ({ orderId }: { orderId: string }) => events.heard.get(orderId);
    await eventually(() => expect([heardOf(early), heardOf(expired)]).toEqual([["cancelled"], ["expired"]]), {
      timeoutMs: 60_000,
    });
    await payments.charge([plain, cancelled, late, early, expired].map(({ charge }) => charge));
    await eventually(() => expect(heardOf(plain)).toEqual(["settled"]), { timeoutMs: 60_000 });
    await eventually(() => expect(heardOf(cancelled)).toEqual(["settled"]), patience);
    await eventually(() => expect(heardOf(late)).toEqual(["expired"]), patience);
    await payments.control({ action: "cancel", ...cancelled.common });
    await eventually(() => expect(heardOf(cancelled)).toEqual(["settled", "settled", "refunded"]), patience);
    await payments.control({ action: "refund", ...cancelled.common });
    await eventually(
      () => expect(heardOf(cancelled)).toEqual(["settled", "settled", "refunded", "refunded"]),
      patience,
    );

    await payments.processors.default.set("refunds", false);
    await payments.control({ action: "refund", ...plain.common });
    await eventually(() => expect(heardOf(plain)).toEqual(["settled", "settled", "refund_manual"]), patience);

    const lines: string[] = [];
    const review = () => runManualReview({ POSTGRES_URL: payments.databaseUrl }, (line) => void lines.push(line));
    expect(await review()).toBe(1);
    expect(lines).toEqual([
      `${plain.correlationId}  order ${plain.orderId}  20 at default: refund it by hand, the processor has no refunds`,
      "1 to review",
    ]);
    const reviewed = (...args: string[]) =>
      runReviewed(args, { POSTGRES_URL: payments.databaseUrl }, (line) => void lines.push(line));
    const whose = [plain.correlationId, "--source", "order"];
    expect(await reviewed(...whose)).toBe(2);
    expect(await reviewed(plain.correlationId, "--source", "api", "--reason", "of a client, it is not known")).toBe(1);
    expect(await reviewed(cancelled.correlationId, "--source", "order", "--reason", "nobody asked")).toBe(1);
    expect(await reviewed(...whose, "--reason", "refunded by transfer")).toBe(0);
    expect(await reviewed(...whose, "--reason", "again")).toBe(1);
    expect(await review()).toBe(0);
    const audited = await payments.pool.sql<{ action: string; reason: string; refund: string }[]>`
      select action, reason, before->>'refund' as refund from payment.audit`;
    expect(audited.map((row) => ({ ...row }))).toEqual([
      { action: "reviewed", reason: "refunded by transfer", refund: "manual_review" },
    ]);

    const recorded = await payments.processors.default.dump();
    expect(recorded.map(({ correlationId, refunded }) => [correlationId, refunded]).sort()).toEqual(
      [
        [plain.correlationId, false],
        [cancelled.correlationId, true],
      ].sort(),
    );
  });

  it("an order that wants its pinned charge no more hears of its end when the pin is ended by hand", async () => {
    await using payments = await startPayments({ env: { PAYMENT_TIMEOUT_MS: "400" } });
    await using events = listen(payments);
    await payments.processors.default.fault("hang-before", 1);
    await payments.startWorker();
    const order = makeOrder();
    await payments.charge([order.charge]);
    const pinned = async (): Promise<boolean> => {
      const [row] = await payments.pool.sql<{ pinned: boolean }[]>`select pinned from payment.payments`;
      return row?.pinned === true;
    };
    await eventually(pinned, patience);
    await payments.control({ action: "cancel", ...order.common });
    await eventually(async () => {
      const [row] = await payments.pool.sql<{ ending: string | null }[]>`select ending from payment.payments`;
      return row?.ending === "cancelled";
    }, patience);
    // From here on it is at rest, so that it can be released.
    await payments.processors.default.service.kill();
    const config = { POSTGRES_URL: payments.databaseUrl, prefix: payments.prefix };
    await eventually(async () => (await runRelease([order.correlationId], config, () => undefined)) === 0, patience);
    const audit = await payments.pool.sql<
      { source: string; reason: string }[]
    >`select source, reason from payment.audit`;
    expect(audit.map((row) => ({ ...row }))).toEqual([{ source: "order", reason: "none given" }]);
    await eventually(() => expect(events.heard.get(order.orderId)).toEqual(["cancelled"]), patience);
  });

  it("a pin is ended by hand, audited, and only when nothing is in the air", async () => {
    await using payments = await startPayments({
      env: { PAYMENT_TIMEOUT_MS: "400" },
      settings: { payment: { routing: { maxHoldMs: 0 } } },
    });
    const worker = await payments.startWorker();
    await payments.processors.default.fault("hang-before", 1);
    const [stuck] = await payments.accept(1);
    const { correlationId } = stuck ?? { correlationId: "" };
    const stateOf = async (): Promise<string | undefined> => {
      const [row] = await payments.pool.sql<{ state: string }[]>`select state from payment.payments`;
      return row?.state;
    };
    await eventually(async () => (await stateOf()) === "unknown", { timeoutMs: 60_000 });
    const lines: string[] = [];
    const release = (...args: string[]) =>
      runRelease(
        args,
        { POSTGRES_URL: payments.databaseUrl, prefix: payments.prefix },
        (line) => void lines.push(line),
      );
    expect(await release("no id")).toBe(2);
    expect(await release(randomUUID(), "--reason", "x")).toBe(1);
    await payments.processors.default.service.kill();
    await eventually(async () => (await release(correlationId, "--reason", "the processor is gone")) === 0);
    await payments.settled(stuck === undefined ? [] : [stuck]);
    expect((await payments.processors.fallback.dump()).length).toBe(1);
    expect(await release(correlationId, "--reason", "again")).toBe(1);
    expect(lines.at(-1)).toContain("settled");
    const audit = await payments.pool.sql<
      { action: string; reason: string }[]
    >`select action, reason from payment.audit`;
    expect(audit.map((row) => ({ ...row }))).toEqual([{ action: "release", reason: "the processor is gone" }]);
    await worker.stop();
  });
});
