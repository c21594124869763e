import { AppError, assertNever } from "@pricing-engine/chassis/errors";
import { addLogFields, checkBody, type HttpContext, type HttpEnv, readJson } from "@pricing-engine/chassis/http";
import {
  encodeTenant,
  type GatewaySettings,
  ordersRequest,
  tenantHeader,
  tokensHeader,
} from "@pricing-engine/contracts";
import type { Handler } from "hono";
import type { PressureGauge } from "../adapters/pressure-gauge.ts";
import { readAnswer, type Upstream, upstreamFault } from "../adapters/upstream.ts";
import { anonymous } from "../domain/access.ts";
import type { TakeToken } from "../usecases/take-token.ts";
import { answerHeaders, pick, upstreamHeaders } from "./forward.ts";
import { takeOrRefuse } from "./limit.ts";

const idempotencyHeader = "idempotency-key";
const maxKeyLength = 255;
// Stages that are behind work thousands off in a few seconds; a client that comes too early is told so again.
const retryAfterSeconds = 2;

export type OrdersRouteDeps = {
  upstream: Upstream;
  settings: () => GatewaySettings;
  takeToken: TakeToken;
  waiting: PressureGauge;
};

/**
 * `POST /orders`: validation → back-pressure → token bucket → the orders service, which places the order in one transaction. Who is
 * refused before that has used no idempotency key; who gets no answer from the service repeats with the same key.
 */
export function ordersRoute({ upstream, settings, takeToken, waiting }: OrdersRouteDeps): Handler<HttpEnv> {
  return async (c) => {
    const json = await readJson(c);
    const request = checkBody(ordersRequest, json);
    const { rateLimit, backPressure } = settings();
    const tenant = c.get("authMode") === "none" ? (request.tenant_id ?? anonymous.tenant) : c.get("caller").tenant;
    addLogFields(c, { tenant, action: request.action ?? "place_order" });
    switch (request.action) {
      case "check_rate_limit": {
        const { limit, remaining } = await takeToken(rateLimit, tenant, 0);
        const { capacity, refillPerSecond: refill_per_second } = limit;
        return c.json({ tenant_id: tenant, tokens_remaining: remaining, capacity, refill_per_second });
      }
      case "check_idempotency":
        readKey(c, request.idempotency_key);
        return passOn(await ask(c, upstream, tenant, json, { repeatable: true }));
      case "place_order":
      case undefined: {
        const key = readKey(c, request.idempotency_key);
        const waits = waiting();
        if (waits !== undefined && waits > backPressure.maxLag) {
          throw new AppError("overloaded", { retryAfterSeconds, context: { waits, maxLag: backPressure.maxLag } });
        }
        const tokensRemaining = await takeOrRefuse(c, takeToken, rateLimit, tenant);
        // With the header a repeat is answered as the first one was, so it may be us who repeats.
        const answer = await ask(c, upstream, tenant, json, { repeatable: key.fromHeader, tokensRemaining });
        return answer.status === 202 ? withTokens(answer, tokensRemaining) : passOn(answer);
      }
      default:
        return assertNever(request);
    }
  };
}

/** The header wins over the field. @throws AppError validation_failed when there is neither, or the header is no key */
function readKey(c: HttpContext, field: string | undefined): { fromHeader: boolean } {
  const header = c.req.header(idempotencyHeader);
  if (header === undefined && field !== undefined) return { fromHeader: false };
  if (header !== undefined && header !== "" && header.length <= maxKeyLength) return { fromHeader: true };
  const message =
    header === undefined
      ? "is needed, here or as the header Idempotency-Key"
      : `the header Idempotency-Key must have 1 to ${maxKeyLength} characters`;
  const fieldErrors = [{ pointer: "/idempotency_key", code: header === undefined ? "missing" : "invalid", message }];
  throw new AppError("validation_failed", { detail: `/idempotency_key: ${message}`, fieldErrors });
}

type Answer = { status: number; headers: Record<string, string>; body: ArrayBuffer };

async function ask(
  c: HttpContext,
  upstream: Upstream,
  tenant: string,
  json: unknown,
  { repeatable, tokensRemaining }: { repeatable: boolean; tokensRemaining?: number },
): Promise<Answer> {
  const { status, headers, body } = await upstream.request({
    method: "POST",
    target: "/orders",
    operation: "POST /orders",
    headers: {
      ...upstreamHeaders(c),
      "content-type": "application/json",
      [tenantHeader]: encodeTenant(tenant),
      ...(tokensRemaining === undefined ? {} : { [tokensHeader]: String(tokensRemaining) }),
    },
    body: Buffer.from(JSON.stringify(json)),
    repeatable,
  });
  return { status, headers: pick(headers, answerHeaders), body: await readAnswer({ body }, "orders") };
}

function passOn({ status, headers, body }: Answer): Response {
  return new Response(body, { status, headers });
}

/** As the service keeps it with the order's key; one that was kept without them gets those of now. */
function withTokens({ status, headers, body }: Answer, tokensRemaining: number): Response {
  const placed = parseAnswer(body);
  return new Response(JSON.stringify({ tokens_remaining: tokensRemaining, ...placed }), { status, headers });
}

/** @throws AppError unavailable: what the service has done is as unknown as without an answer */
function parseAnswer(body: ArrayBuffer): object {
  try {
    return JSON.parse(Buffer.from(body).toString()) as object;
  } catch (error) {
    throw upstreamFault(error, "orders");
  }
}
