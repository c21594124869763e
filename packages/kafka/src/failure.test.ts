import { AppError } from "@pricing-engine/chassis/errors";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffMs } from "./backoff.ts";
import { decideFailure } from "./failure.ts";
import { findDueAtMs, findHeader, headerNames, publisherHeaders, toMessage } from "./headers.ts";
import type { RawRecord } from "./message.ts";

const retry = { attempts: 3, baseMs: 100, maxMs: 1_000 };
const record: RawRecord = {
  topic: "test.shop.things",
  partition: 2,
  offset: 7n,
  key: Buffer.from("k"),
  value: Buffer.from([0, 255, 1]),
  headers: { traceparent: Buffer.from("00-x"), blob: Buffer.from([254]) },
  timestampMs: 5,
};
const context = { groupId: "test.shop.worker", retry, isCopy: false, nowMs: 1_000, random: 0 };

function copyOf(failure: ReturnType<typeof decideFailure>, offset: bigint): RawRecord {
  const { topic, headers = {} } = failure.outgoing;
  return { ...record, topic, partition: 0, offset, headers };
}

describe("what becomes of a failed message", () => {
  it("is retried until its attempts are used up, keeping bytes and place", () => {
    const first = decideFailure(record, new Error("boom"), context);
    expect(first).toMatchObject({ outcome: "retry", outgoing: { topic: "test.shop.things.worker.retry" } });
    const copy = copyOf(first, 40n);
    expect(findDueAtMs(copy)).toBe(1_050);
    expect(toMessage(copy, true)).toMatchObject({
      attempt: 2,
      topic: record.topic,
      partition: 2,
      offset: 7n,
      timestampMs: 5,
    });
    const second = decideFailure(copy, new Error("boom"), { ...context, isCopy: true });
    expect(second.outcome).toBe("retry");
    const third = decideFailure(copyOf(second, 41n), new Error("the end"), { ...context, isCopy: true });
    expect(third).toMatchObject({ outcome: "dead", outgoing: { topic: "test.shop.things.worker.dlq" } });
    const headers = third.outgoing.headers ?? {};
    expect(third.outgoing.value).toBe(record.value);
    expect(third.outgoing.key).toBe(record.key);
    expect(publisherHeaders(headers)).toEqual(record.headers);
    expect(findHeader(headers, headerNames.attempts)).toBe("3");
    expect(findHeader(headers, headerNames.errorMessage)).toBe("the end");
    expect(findHeader(headers, headerNames.originalOffset)).toBe("7");
    expect(findHeader(headers, headerNames.dueAt)).toBeUndefined();
  });

  it("is dead at once when no attempt can help", () => {
    expect(decideFailure(record, new AppError("invalid_message"), context)).toMatchObject({
      outcome: "dead",
      code: "invalid_message",
    });
  });

  it("takes no count of attempts from a publisher", () => {
    const forged = { ...record, headers: { [headerNames.attempts]: "99", [headerNames.originalTopic]: "other" } };
    expect(toMessage(forged, false)).toMatchObject({ attempt: 1, topic: record.topic });
    expect(decideFailure(forged, new Error("boom"), context).outgoing.topic).toBe("test.shop.things.worker.retry");
  });
});

describe("backoff", () => {
  it("stays within half and full of the doubled base, and below the maximum", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (n, random) => {
        const waitMs = backoffMs(n, { baseMs: 100, maxMs: 5_000 }, random);
        const fullMs = Math.min(5_000, 100 * 2 ** (n - 1));
        expect(waitMs).toBeGreaterThanOrEqual(fullMs / 2);
        expect(waitMs).toBeLessThanOrEqual(fullMs);
      }),
    );
  });
});
