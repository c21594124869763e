import type { Message, Position, RawHeaders, RawRecord } from "./message.ts";

/** Names of the headers that this package adds; everything else belongs to whoever published. */
export const headerNames = {
  attempts: "pe-attempts",
  dueAt: "pe-due-at",
  originalTopic: "pe-original-topic",
  originalPartition: "pe-original-partition",
  originalOffset: "pe-original-offset",
  originalTimestamp: "pe-original-timestamp",
  group: "pe-group",
  errorCode: "pe-error-code",
  errorMessage: "pe-error-message",
  failedAt: "pe-failed-at",
  replayOf: "pe-replay-of",
} as const;

const ownNames = new Set<string>(Object.values(headerNames));

function headerText(value: RawHeaders[string]): string | undefined {
  const last = Array.isArray(value) ? value.at(-1) : value;
  if (last === undefined) return undefined;
  return typeof last === "string" ? last : last.toString("utf8");
}

/** The text of one header, or undefined. */
export function findHeader(headers: RawHeaders, name: string): string | undefined {
  return headerText(headers[name]);
}

/** The headers of the publisher alone, untouched. */
export function publisherHeaders(headers: RawHeaders): RawHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !ownNames.has(name)));
}

function parseInteger(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Where the record was first published: its own place, unless it is a copy that says otherwise. */
export function originalPosition(record: RawRecord): Position {
  const topic = findHeader(record.headers, headerNames.originalTopic);
  const partition = parseInteger(findHeader(record.headers, headerNames.originalPartition));
  const offset = findHeader(record.headers, headerNames.originalOffset);
  if (topic === undefined || partition === undefined || offset === undefined || !/^\d{1,19}$/.test(offset)) {
    return { topic: record.topic, partition: record.partition, offset: record.offset };
  }
  return { topic, partition, offset: BigInt(offset) };
}

/** When a copy on a retry topic may be handled (ms since the epoch); undefined: at once. */
export function findDueAtMs(record: RawRecord): number | undefined {
  return parseInteger(findHeader(record.headers, headerNames.dueAt));
}

/** Attempts that already failed. Only a copy carries a count, so that no publisher can shorten its own retries. */
export function failedAttempts(record: RawRecord, isCopy: boolean): number {
  return isCopy ? (parseInteger(findHeader(record.headers, headerNames.attempts)) ?? 0) : 0;
}

/** What the handler sees of a record; `isCopy`: it was read from a retry topic. */
export function toMessage(record: RawRecord, isCopy: boolean): Message {
  const delivery = { topic: record.topic, partition: record.partition, offset: record.offset };
  const original = isCopy ? originalPosition(record) : delivery;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(record.headers)) {
    const text = ownNames.has(name) ? undefined : headerText(value);
    if (text !== undefined) headers[name] = text;
  }
  const publishedMs = isCopy ? parseInteger(findHeader(record.headers, headerNames.originalTimestamp)) : undefined;
  return {
    ...original,
    key: record.key === null ? null : record.key.toString("utf8"),
    value: record.value ?? Buffer.alloc(0),
    headers,
    attempt: failedAttempts(record, isCopy) + 1,
    timestampMs: publishedMs ?? record.timestampMs,
    delivery,
  };
}
