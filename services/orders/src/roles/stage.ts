import { assertNever } from "@pricing-engine/chassis/errors";
import { type Lifecycle, runEvery } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { gauge } from "@pricing-engine/chassis/metrics";
import { groupName, topicName, topics } from "@pricing-engine/contracts";
import { type Message, runConsumer } from "@pricing-engine/kafka";
import { pruneInbox, query } from "@pricing-engine/postgres";
import { countStuck } from "../adapters/load.ts";
import { makeLogNotifier, makeWebhookNotifier } from "../adapters/notifier.ts";
import { isOutage } from "../adapters/outages.ts";
import { makePaymentProducer } from "../adapters/payment-producer.ts";
import type { ReceiptStore } from "../adapters/receipt-store.ts";
import { makeDirectoryReceipts } from "../adapters/receipts-in-directory.ts";
import { schemaName } from "../adapters/schema.ts";
import { type Config, type Stage, s3Of } from "../config.ts";
import { deadLetterRow, toCommand, toPaymentEvent } from "../events/commands.ts";
import { makeAskPayment } from "../usecases/ask-payment.ts";
import { fetchSpacingMs } from "../usecases/deadline.ts";
import { makeFulfilOrder } from "../usecases/fulfil-order.ts";
import { makeHearPayment } from "../usecases/hear-payment.ts";
import { makeNotifyCustomer } from "../usecases/notify-customer.ts";
import { makeReserveStock } from "../usecases/reserve-stock.ts";
import { makeSweepOverdue } from "../usecases/sweep-overdue.ts";
import { openResources, type Resources, startRelay } from "./resources.ts";

type Handle = (message: Message) => Promise<void>;

const topicsOf: Readonly<Record<Stage, readonly string[]>> = {
  inventory: [topics.orderInventory],
  payment: [topics.orderPayment, topics.paymentEvents],
  fulfillment: [topics.orderFulfillment],
  notification: [topics.orderNotification],
};

/** One stage of the saga: reads its topic, acts on the locked order. The stage of payments also sweeps and carries the outbox. */
export async function runStage(
  stage: Stage,
  config: Config,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<{ metricsPort: number }> {
  const name = `orders-${stage}`;
  const resources = await openResources(name, config, lifecycle, logger);
  const { kafka, producer, settings, metricsPort } = resources;
  const groupId = groupName(config.prefix, name);
  const retries = () => settings().orders.retries;
  const handle = await makeHandler(stage, config, resources, { groupId, retries }, lifecycle, logger);
  if (stage === "payment") startSweeping(config, resources, lifecycle, logger);
  const consumer = runConsumer({
    kafka,
    producer,
    groupId,
    topics: topicsOf[stage].map((topic) => topicName(config.prefix, topic)),
    concurrency: config.STAGE_CONCURRENCY,
    fetchSpacingMs,
    retry: { attempts: retries },
    isOutage,
    logger,
    handle,
  });
  lifecycle.defer("kafka consumer", () => consumer.stop());
  consumer.failed.catch(async (error: unknown) => {
    logger.fatal({ err: error }, "the consumer has failed");
    await lifecycle.shutdown("the consumer has failed");
    process.exit(1);
  });
  lifecycle.health.register("kafka", () => {
    const { ready, reason, state } = consumer.health();
    return ready ? { ok: true } : { ok: false, reason: reason ?? state };
  });
  return { metricsPort };
}

async function makeHandler(
  stage: Stage,
  config: Config,
  { pool, producer, settings }: Resources,
  { groupId, retries }: { groupId: string; retries: () => number },
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<Handle> {
  const deps = { pool, prefix: config.prefix, settings: () => settings().orders };
  switch (stage) {
    case "inventory": {
      const reserveStock = makeReserveStock({ ...deps, logger });
      return (message) => {
        const { ref } = toCommand(message, "reserve");
        const deadLetter = (reason: string) => deadLetterRow(message, { groupId, code: "internal", reason });
        return reserveStock(ref, { isLast: message.attempt >= retries(), deadLetter });
      };
    }
    case "payment": {
      const askPayment = makeAskPayment({ ...deps, payment: makePaymentProducer(producer, config.prefix) });
      const hearPayment = makeHearPayment(deps);
      const events = topicName(config.prefix, topics.paymentEvents);
      return (message) => {
        if (message.topic === events) return hearPayment(toPaymentEvent(message));
        const { ref, action } = toCommand(message, "charge", "cancel_charge", "expire_charge", "refund");
        return askPayment(ref, action);
      };
    }
    case "fulfillment": {
      const receipts = await openReceipts(config);
      lifecycle.defer("receipts", () => receipts.close());
      const fulfilOrder = makeFulfilOrder({ ...deps, receipts });
      return (message) => {
        const { id, ref } = toCommand(message, "fulfil");
        const deadLetter = (reason: string) => deadLetterRow(message, { groupId, code: "receipt_refused", reason });
        return fulfilOrder(ref, { messageId: id, attempt: message.attempt, deadLetter });
      };
    }
    case "notification": {
      const { NOTIFICATION_WEBHOOK_URL: url, NOTIFICATION_WEBHOOK_TOKEN: token } = config;
      const notifier = url === undefined ? makeLogNotifier(logger) : makeWebhookNotifier({ url, token });
      lifecycle.defer("notifier", () => notifier.close());
      const notifyCustomer = makeNotifyCustomer({ ...deps, notifier });
      return (message) => {
        const { ref } = toCommand(message, "notify");
        const deadLetter = (reason: string) => deadLetterRow(message, { groupId, code: "notification_failed", reason });
        return notifyCustomer(ref, { isLast: message.attempt >= retries(), deadLetter });
      };
    }
    default:
      return assertNever(stage);
  }
}

/** The client of S3 is loaded where there is one, as in the api. */
async function openReceipts(config: Config): Promise<ReceiptStore> {
  const place = s3Of(config);
  if (place === undefined) return makeDirectoryReceipts(config.RECEIPTS_DIRECTORY ?? "receipts");
  const { makeS3Receipts } = await import("../adapters/receipts-in-s3.ts");
  return makeS3Receipts(place);
}

const inboxKeptMs = 30 * 24 * 3_600_000;

function startSweeping(config: Config, resources: Resources, lifecycle: Lifecycle, logger: Logger): void {
  startRelay(resources, lifecycle, logger);
  const { pool, settings } = resources;
  const orders = () => settings().orders;
  const sweep = makeSweepOverdue({ pool, prefix: config.prefix, settings: orders });
  const every = { signal: lifecycle.signal, logger };
  gauge({
    name: "pricing_engine_orders_stuck",
    help: "Orders that have not moved for more than two state time-outs, whatever was done about it, by status.",
    labels: ["status"],
    collect: async (stuck) => {
      const found = await query(pool, 2_000, (on) => countStuck(on, 2 * orders().stateTimeoutMs));
      stuck.reset();
      for (const { status, count } of found) stuck.set({ status }, count);
    },
  });
  // Often enough that nothing is overdue for much longer than it should, whatever that is.
  runEvery("sweep", () => Math.min(5_000, Math.max(500, orders().stateTimeoutMs / 10)), sweep, every);
  runEvery("prune inbox", 3_600_000, () => pruneInbox(pool, { schema: schemaName, olderThanMs: inboxKeptMs }), every);
}
