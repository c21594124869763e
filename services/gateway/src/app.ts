import {
  compressResponses,
  etagResponses,
  type HttpApp,
  type HttpEnv,
  makeHttpApp,
} from "@pricing-engine/chassis/http";
import type { HealthRegistry } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { healthAnswer } from "@pricing-engine/chassis/metrics";
import type { GatewaySettings } from "@pricing-engine/contracts";
import type { PriceCache } from "@pricing-engine/price-cache";
import { type SearchCache, searchFailureResponse } from "@pricing-engine/search-cache";
import { type Handler, Hono } from "hono";
import { cors } from "hono/cors";
import type { KeyStore } from "./adapters/key-store.ts";
import type { Keyring } from "./adapters/keyring.ts";
import type { PressureGauge } from "./adapters/pressure-gauge.ts";
import type { Upstream } from "./adapters/upstream.ts";
import { mountDocs } from "./http/docs.ts";
import { forward } from "./http/forward.ts";
import { guard } from "./http/guard.ts";
import { createKeyRoute, listKeysRoute, revokeKeyRoute } from "./http/keys.ts";
import { mountNotRun, mountSearchNotRun } from "./http/not-run.ts";
import { type Operation, routerPath } from "./http/operation.ts";
import { ingestOperations, keyOperations, paymentOperations, pricingOperations } from "./http/operations.ts";
import { orderOperations } from "./http/order-operations.ts";
import { ordersRoute } from "./http/orders.ts";
import { acceptPaymentRoute, type PaymentNotes } from "./http/payments.ts";
import { type FrontFindings, priceRoute } from "./http/price.ts";
import { searchRoute } from "./http/search.ts";
import type { AcceptPayment } from "./usecases/accept-payment.ts";
import type { AskPrice } from "./usecases/ask-price.ts";
import type { CreateKey } from "./usecases/create-key.ts";
import type { RevokeKey } from "./usecases/revoke-key.ts";
import type { TakeToken } from "./usecases/take-token.ts";

export type AppDeps = {
  logger: Logger;
  health: HealthRegistry;
  settings: () => GatewaySettings;
  corsOrigins: readonly string[];
  keyring: Keyring;
  keyStore: KeyStore;
  createKey: CreateKey;
  revokeKey: RevokeKey;
  takeToken: TakeToken;
  cache: PriceCache;
  findings: WeakMap<Request, FrontFindings>;
  /** Undefined: the engine does not run pricing. */
  pricing: { upstream: Upstream; askPrice: AskPrice } | undefined;
  searchCache: SearchCache;
  /** Undefined: the engine does not run ingest. */
  ingest: Upstream | undefined;
  /** Undefined: the engine does not run payments. */
  payment: PaymentDeps | undefined;
  /** Undefined: the engine takes no orders. */
  orders: OrdersDeps | undefined;
};

export type OrdersDeps = { upstream: Upstream; waiting: PressureGauge };

export type PaymentDeps = { upstream: Upstream; accept: AcceptPayment; notes: PaymentNotes };

/** The public API. A section of calls is one table in `http/operations.ts` and one block here. */
export function makeApp(deps: AppDeps): HttpApp {
  const app = makeHttpApp({
    logger: deps.logger,
    name: "gateway",
    renderError: (error, c) => (c.req.path === "/search" ? searchFailureResponse(error) : undefined),
  });
  app.use(allowOrigins(deps.corsOrigins));
  app.use(compressResponses());
  app.use(etagResponses());
  mountHealth(app, deps.health);
  mountDocs(app, async () => (await import("./openapi/document.ts")).makeOpenApiDocument());

  const api = new Hono<HttpEnv>();
  const add = (operation: Operation, handler: Handler<HttpEnv>): void => {
    api.on(operation.method, routerPath(operation.path), guard(operation, deps), handler);
  };
  add(keyOperations.createKey, createKeyRoute(deps.createKey));
  add(keyOperations.listKeys, listKeysRoute(deps.keyStore));
  add(keyOperations.revokeKey, revokeKeyRoute(deps.revokeKey));
  if (deps.pricing !== undefined) addPricing(add, deps.pricing, deps);
  if (deps.ingest !== undefined) {
    add(ingestOperations.search, searchRoute({ cache: deps.searchCache, upstream: deps.ingest }));
    add(ingestOperations.sources, forward(ingestOperations.sources, deps.ingest));
  }
  if (deps.payment !== undefined) addPayment(add, deps.payment);
  if (deps.orders !== undefined) addOrders(add, deps.orders, deps);
  app.route("/", api);

  if (deps.pricing === undefined) mountNotRun(app, "pricing", pathsOf(pricingOperations));
  if (deps.payment === undefined) mountNotRun(app, "payments", pathsOf(paymentOperations));
  if (deps.orders === undefined) mountNotRun(app, "orders", pathsOf(orderOperations));
  if (deps.ingest === undefined) {
    mountNotRun(app, "ingest", [ingestOperations.sources.path]);
    mountSearchNotRun(app);
  }
  return app;
}

function addPricing(
  add: (operation: Operation, handler: Handler<HttpEnv>) => void,
  { upstream, askPrice }: { upstream: Upstream; askPrice: AskPrice },
  { cache, findings }: AppDeps,
): void {
  const { price, priceBatch, simulate, importProducts, ...others } = pricingOperations;
  add(price, priceRoute({ cache, askPrice, findings }));
  add(priceBatch, forward(priceBatch, upstream, { repeatable: true }));
  add(simulate, forward(simulate, upstream, { repeatable: true }));
  add(importProducts, forward(importProducts, upstream, { streamBody: true }));
  for (const operation of Object.values(others)) add(operation, forward(operation, upstream));
}

function addPayment(
  add: (operation: Operation, handler: Handler<HttpEnv>) => void,
  { upstream, accept, notes }: PaymentDeps,
): void {
  const { createPayment, ...others } = paymentOperations;
  add(createPayment, acceptPaymentRoute({ accept, notes }));
  for (const operation of Object.values(others)) add(operation, forward(operation, upstream));
}

function addOrders(
  add: (operation: Operation, handler: Handler<HttpEnv>) => void,
  { upstream, waiting }: OrdersDeps,
  { settings, takeToken }: AppDeps,
): void {
  const { createOrder, ...others } = orderOperations;
  add(createOrder, ordersRoute({ upstream, settings, takeToken, waiting }));
  for (const operation of Object.values(others)) add(operation, forward(operation, upstream));
}

function pathsOf(operations: Readonly<Record<string, Operation>>): string[] {
  return [...new Set(Object.values(operations).map(({ path }) => routerPath(path)))];
}

function mountHealth(app: HttpApp, health: HealthRegistry): void {
  app.get("/livez", async (c) => answerHealth(c.json, healthAnswer(await health.liveness())));
  for (const path of ["/health", "/readyz"]) {
    app.get(path, async (c) => answerHealth(c.json, healthAnswer(await health.readiness())));
  }
}

function answerHealth(
  json: (body: Record<string, unknown>, status: 200 | 503) => Response,
  [status, body]: ReturnType<typeof healthAnswer>,
): Response {
  return json(body, status);
}

function allowOrigins(origins: readonly string[]): ReturnType<typeof cors> {
  return cors({
    origin: origins.includes("*") ? "*" : [...origins],
    allowMethods: ["GET", "HEAD", "POST", "PUT", "DELETE"],
    allowHeaders: ["authorization", "content-type", "idempotency-key", "traceparent", "tracestate", "x-correlation-id"],
    exposeHeaders: [
      "etag",
      "idempotent-replayed",
      "link",
      "location",
      "ratelimit",
      "ratelimit-policy",
      "retry-after",
      "traceparent",
      "x-correlation-id",
    ],
    maxAge: 600,
  });
}
