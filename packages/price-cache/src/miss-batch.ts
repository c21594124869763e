/*
 * How a gateway asks pricing for many misses in one call, for pricing alone: `POST missBatchPath` with JSON
 *
 *   [{ "context": {…}, "ticket": "…", "traceId": "…" }, …]
 *
 * answered in the same order, a line each: the status, the seconds of Retry-After or `-`, the bytes that
 * `POST /api/v1/price` would have answered. JSON texts hold no raw line feed, so nothing needs to be parsed or escaped.
 */
import type { PriceContext } from "./context-key.ts";

export const missBatchPath = "/internal/v1/prices";
export const maxMissesPerBatch = 128;

export type AskedMiss = {
  context: PriceContext;
  /** As `encodeTicket` has it; undefined when Redis could not be asked. */
  ticket?: string | undefined;
  /** Of the request that missed: a problem names it. */
  traceId: string;
};

export type MissAnswer = { status: number; retryAfterSeconds: number | undefined; body: Buffer };

const lineFeed = 0x0a;
const space = 0x20;
const head = /^([1-5]\d\d) (\d{1,6}|-)$/;
const maxHeadLength = 16;

export function encodeMisses(misses: readonly AskedMiss[]): Buffer {
  return Buffer.from(
    JSON.stringify(
      misses.map(({ context, ticket, traceId }) => {
        // Named one by one: what else a client sent stays with the gateway.
        const { product_id, user_location, is_prime_member, segment, quantity, currency } = context;
        return {
          context: { product_id, user_location, is_prime_member, segment, quantity, currency },
          ticket,
          traceId,
        };
      }),
    ),
  );
}

export function encodeAnswers(answers: readonly MissAnswer[]): Buffer {
  const parts: Buffer[] = [];
  for (const { status, retryAfterSeconds, body } of answers) {
    parts.push(Buffer.from(`${status} ${retryAfterSeconds ?? "-"} `, "latin1"), body, Buffer.of(lineFeed));
  }
  return Buffer.concat(parts);
}

/** The answers, as slices of `bytes`; undefined when these are not `count` answers. */
export function decodeAnswers(bytes: Buffer, count: number): MissAnswer[] | undefined {
  const answers: MissAnswer[] = [];
  let start = 0;
  while (start < bytes.length) {
    const end = bytes.indexOf(lineFeed, start);
    const bodyStart = bytes.indexOf(space, bytes.indexOf(space, start) + 1) + 1;
    if (end < 0 || bodyStart <= start + 1 || bodyStart > end || bodyStart - start > maxHeadLength) return undefined;
    const [, status, retryAfter] = head.exec(bytes.toString("latin1", start, bodyStart - 1)) ?? [];
    if (status === undefined || retryAfter === undefined) return undefined;
    const retryAfterSeconds = retryAfter === "-" ? undefined : Number(retryAfter);
    answers.push({ status: Number(status), retryAfterSeconds, body: bytes.subarray(bodyStart, end) });
    start = end + 1;
  }
  return answers.length === count ? answers : undefined;
}
