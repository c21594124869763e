import { type Logger, makePlainLogger } from "@pricing-engine/chassis/log";
import { type Context, context, type Link, type SpanContext, trace } from "@pricing-engine/chassis/telemetry";
import { encodeTenant, type PriceRequest, tenantHeader } from "@pricing-engine/contracts";
import {
  decodeAnswers,
  encodeMisses,
  encodeTicket,
  flightKey,
  type MissAnswer,
  maxMissesPerBatch,
  missBatchPath,
  type Ticket,
  ticketHeader,
} from "@pricing-engine/price-cache";
import { readAnswer, type Upstream, type UpstreamAnswer, upstreamFault } from "../adapters/upstream.ts";
import { makeGather } from "./gather.ts";
import { makeShareFlights } from "./share-flights.ts";

/** One request that the cache had no answer for. */
export type Miss = {
  request: PriceRequest;
  ticket: Ticket;
  /** Of the request's own span. */
  parent: Context;
  correlationId: string;
  tenant: string;
};

/** What pricing answered, in a form that several requests may share. */
export type PriceAnswer = { status: number; headers: Record<string, string>; body: Buffer };

/** Rejects with AppError unavailable or deadline_exceeded. */
export type AskPrice = (miss: Miss) => Promise<PriceAnswer>;

// Two keep pricing busy while one is on its way; more of them would only be smaller.
const maxInFlight = 2;
const patienceMs = 100;

/**
 * Pricing's answer to a miss. Equal ones that saw the same share a computation; the others go together, up to 128 in
 * one call, so that a miss does not cost a call (docs/decisions/0005). One alone is an ordinary request.
 */
export function makeAskPrice({ upstream, logger }: { upstream: Upstream; logger: Logger }): AskPrice {
  const events = makePlainLogger(logger);
  const shareFlights = makeShareFlights<PriceAnswer>();
  const ask = makeGather({ send, maxItems: maxMissesPerBatch, maxInFlight, patienceMs });

  async function send(misses: readonly Miss[]): Promise<readonly PriceAnswer[]> {
    const [first] = misses;
    if (first === undefined) return [];
    if (misses.length === 1) return [await context.with(first.parent, () => askOne(upstream, first))];
    const startedMs = performance.now();
    // The call belongs to a trace that is recorded, where there is one; the others are linked to it.
    const lead = misses.find(isRecorded) ?? first;
    const links = misses.filter((miss) => miss !== lead && isRecorded(miss)).flatMap(linkTo);
    const answers = await context.with(lead.parent, () => askMany(upstream, misses, links));
    const event = { misses: misses.length, failed: answers.filter(({ status }) => status !== 200).length };
    const durationMs = Math.round((performance.now() - startedMs) * 1_000) / 1_000;
    events.info({ ...event, durationMs, traceId: spanOf(lead)?.traceId }, "misses answered");
    return answers;
  }

  return (miss) => {
    const key = flightKey(miss.ticket);
    if (key === undefined) return ask(miss);
    return shareFlights(key, () => ask(miss)).then((answer) => ownProblem(answer, miss));
  };
}

/** Of a problem that several requests share each is told the id of its own trace. */
function ownProblem(answer: PriceAnswer, miss: Miss): PriceAnswer {
  const traceId = spanOf(miss)?.traceId;
  if (answer.status < 400 || traceId === undefined) return answer;
  const problem = parseProblem(answer.body);
  return problem === undefined ? answer : { ...answer, body: Buffer.from(JSON.stringify({ ...problem, traceId })) };
}

/** Undefined for what was not made by a service of ours. */
function parseProblem(body: Buffer): { traceId: unknown } | undefined {
  try {
    const parsed: unknown = JSON.parse(body.toString("utf8"));
    return typeof parsed === "object" && parsed !== null && "traceId" in parsed ? parsed : undefined;
  } catch {
    return undefined;
  }
}

async function askOne(upstream: Upstream, { request, ticket, correlationId, tenant }: Miss): Promise<PriceAnswer> {
  const encoded = encodeTicket(ticket);
  const answer = await upstream.request({
    method: "POST",
    target: "/api/v1/price",
    operation: "POST /api/v1/price",
    headers: {
      "x-correlation-id": correlationId,
      [tenantHeader]: encodeTenant(tenant),
      "content-type": "application/json",
      ...(encoded === undefined ? {} : { [ticketHeader]: encoded }),
    },
    body: Buffer.from(JSON.stringify(request)),
    repeatable: true,
  });
  const { "content-type": type, "retry-after": retryAfter } = answer.headers;
  return {
    status: answer.status,
    headers: {
      ...(type === undefined ? {} : { "content-type": type }),
      ...(retryAfter === undefined ? {} : { "retry-after": retryAfter }),
    },
    body: await bytesOf(answer),
  };
}

async function askMany(
  upstream: Upstream,
  misses: readonly Miss[],
  links: readonly Link[],
): Promise<readonly PriceAnswer[]> {
  const body = encodeMisses(
    misses.map((miss) => ({
      context: miss.request,
      ticket: encodeTicket(miss.ticket),
      traceId: spanOf(miss)?.traceId ?? "",
    })),
  );
  const answer = await upstream.request({
    method: "POST",
    target: missBatchPath,
    operation: `POST ${missBatchPath}`,
    headers: { "content-type": "application/json" },
    body,
    repeatable: true,
    links: [...links],
  });
  const bytes = await bytesOf(answer);
  const answers = answer.status === 200 ? decodeAnswers(bytes, misses.length) : undefined;
  if (answers === undefined) throw upstreamFault(new Error(`misses were answered with ${answer.status}`), "pricing");
  return answers.map(toPriceAnswer);
}

async function bytesOf(answer: UpstreamAnswer): Promise<Buffer> {
  return Buffer.from(await readAnswer(answer, "pricing"));
}

const priced = { "content-type": "application/json" };

function toPriceAnswer({ status, retryAfterSeconds, body }: MissAnswer): PriceAnswer {
  if (status === 200) return { status, headers: priced, body };
  const retryAfter = retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) };
  return { status, headers: { "content-type": "application/problem+json", ...retryAfter }, body };
}

function spanOf({ parent }: Miss): SpanContext | undefined {
  return trace.getSpanContext(parent);
}

function isRecorded({ parent }: Miss): boolean {
  return trace.getSpan(parent)?.isRecording() === true;
}

function linkTo(miss: Miss): Link[] {
  const span = spanOf(miss);
  return span === undefined ? [] : [{ context: span }];
}
