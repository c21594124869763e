import { makeHttpApp, serveHttp } from "@pricing-engine/chassis/http";
import { type Lifecycle, runEvery } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { query } from "@pricing-engine/postgres";
import { pruneHistory } from "../adapters/history.ts";
import { findKeyState, pruneKeys } from "../adapters/idempotency-store.ts";
import { readLoad } from "../adapters/load.ts";
import { listOrders, readOrder } from "../adapters/order-reader.ts";
import { makePricingClient } from "../adapters/pricing-client.ts";
import type { LinkReceipt } from "../adapters/receipt-links.ts";
import { type ApiConfig, s3Of } from "../config.ts";
import { mountInventory, mountLoad } from "../http/inventory.ts";
import { mountOrders } from "../http/orders.ts";
import { makeCancelOrder } from "../usecases/cancel-order.ts";
import { deadlineMs } from "../usecases/deadline.ts";
import { makeInventory } from "../usecases/inventory.ts";
import { makePlaceOrder } from "../usecases/place-order.ts";
import { openResources, startRelay } from "./resources.ts";

const name = "orders-api";
const pruneEveryMs = 60_000;
const pruneBite = 5_000;

/** Takes orders, answers about them, and keeps the inventory. */
export async function runApi(
  config: ApiConfig,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<{ httpPort: number; metricsPort: number }> {
  const resources = await openResources(name, config, lifecycle, logger);
  const { pool, settings, metricsPort } = resources;
  startRelay(resources, lifecycle, logger);
  const pricing = makePricingClient(config.PRICING_URL);
  lifecycle.defer("pricing connections", () => pricing.close());
  const link = await openLinks(config);
  const deps = { pool, prefix: config.prefix, settings: () => settings().orders };
  const app = makeHttpApp({ logger, name });
  mountOrders(app, {
    placeOrder: makePlaceOrder({ ...deps, pricing, idempotencyTtlMs: () => settings().gateway.idempotencyTtlMs }),
    cancelOrder: makeCancelOrder(deps),
    async findKey(tenantId, key) {
      const found = await query(pool, deadlineMs, (on) => findKeyState(on, tenantId, key));
      if (found === undefined) return { exists: false };
      const { orderId: order_id, status, expiresAt: expires_at } = found;
      return { exists: true, order_id, ...(status === undefined ? {} : { status }), expires_at };
    },
    readOrder: (orderId, tenantId) => readOrder(pool, link, orderId, tenantId),
    listOrders: (filter, limit) => listOrders(pool, link, filter, limit),
  });
  mountInventory(app, makeInventory({ pool, pricing, prefix: config.prefix }));
  mountLoad(app, () => readLoad(pool));
  const prune = (of: typeof pruneKeys) => (): Promise<number> => query(pool, deadlineMs, (on) => of(on, pruneBite));
  runEvery("prune keys", pruneEveryMs, prune(pruneKeys), { signal: lifecycle.signal, logger });
  runEvery("prune history", pruneEveryMs, prune(pruneHistory), { signal: lifecycle.signal, logger });
  const { port: httpPort } = await serveHttp({
    app,
    port: config.HTTP_PORT,
    host: config.HTTP_HOST,
    lingerMs: config.HTTP_LINGER_MS,
    lifecycle,
  });
  return { httpPort, metricsPort };
}

/** The client of S3 is loaded where there is one: it takes 10 MB. */
async function openLinks(config: ApiConfig): Promise<LinkReceipt> {
  const place = s3Of(config);
  if (place === undefined) return async (stored) => stored;
  const { makeLinkReceipt } = await import("../adapters/receipt-links.ts");
  return makeLinkReceipt(place);
}
