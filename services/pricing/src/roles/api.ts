import { randomBytes } from "node:crypto";
import { makeHttpApp, serveHttp } from "@pricing-engine/chassis/http";
import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { startMetricsServer } from "@pricing-engine/chassis/metrics";
import type { SigningKeys } from "@pricing-engine/contracts";
import { makeDecisionSigner } from "../adapters/decision-signer.ts";
import { readSigningKeys } from "../adapters/signing-keys.ts";
import type { Config } from "../config.ts";
import { mountImport } from "../http/import.ts";
import { mountMarketEvents } from "../http/market-events.ts";
import { makeMissFront } from "../http/miss-front.ts";
import { mountProducts } from "../http/products.ts";
import { mountReads } from "../http/reads.ts";
import { makeDeleteProduct } from "../usecases/delete-product.ts";
import { makeGetProduct } from "../usecases/get-product.ts";
import { makeGetTask } from "../usecases/get-task.ts";
import { makeImportProducts } from "../usecases/import-products.ts";
import { makeListProducts } from "../usecases/list-products.ts";
import { makePublishMarketEvent } from "../usecases/publish-market-event.ts";
import { makePutProduct } from "../usecases/put-product.ts";
import { makeWriteProducts } from "../usecases/write-products.ts";
import { openResources, openSettings } from "./resources.ts";

const importBatchSize = 500;
// An import takes as long as its client sends.
const requestTimeoutMs = 30 * 60_000;

export async function runApi(
  config: Config,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<{ httpPort: number; metricsPort: number }> {
  const name = "pricing-api";
  const { port: metricsPort } = await startMetricsServer({
    port: config.METRICS_PORT,
    host: config.HTTP_HOST,
    health: lifecycle.health,
    lifecycle,
  });
  const resources = await openResources(name, config, lifecycle, logger);
  const settings = await openSettings(resources, config, lifecycle);
  const signer = makeDecisionSigner(await findSigningKeys(config.SIGNING_KEYS_FILE, logger));

  const app = makeHttpApp({ logger, name });
  const writeProducts = makeWriteProducts(resources);
  mountImport(app, { importProducts: makeImportProducts(writeProducts, { batchSize: importBatchSize }) });
  mountProducts(app, {
    putProduct: makePutProduct({ ...resources, writeProducts }),
    getProduct: makeGetProduct(resources),
    deleteProduct: makeDeleteProduct(resources),
    listProducts: makeListProducts(resources),
  });
  mountMarketEvents(app, {
    publishMarketEvent: makePublishMarketEvent(resources),
    getTask: makeGetTask(resources),
    prefix: resources.prefix,
  });
  const { getPrice } = mountReads(app, { ...resources, signer, settings: () => settings.current().pricing });
  const { port: httpPort } = await serveHttp({
    app,
    front: makeMissFront({ getPrice, logger }),
    port: config.HTTP_PORT,
    host: config.HTTP_HOST,
    lingerMs: config.HTTP_LINGER_MS,
    lifecycle,
    requestTimeoutMs,
  });
  return { httpPort, metricsPort };
}

async function findSigningKeys(path: string | undefined, logger: Logger): Promise<SigningKeys> {
  if (path !== undefined) return readSigningKeys(path);
  logger.warn("no SIGNING_KEYS_FILE: a decision_id is good for this process alone, and as long as it runs");
  return { keys: [{ id: "own", secret: randomBytes(32).toString("base64") }] };
}
