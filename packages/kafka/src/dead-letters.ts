import { deadLetterTopic, retryTopic } from "@pricing-engine/contracts";
import type { KafkaAdmin } from "./admin.ts";
import { findHeader, headerNames, originalPosition, publisherHeaders } from "./headers.ts";
import type { Kafka } from "./kafka.ts";
import type { Position, RawHeaders, RawRecord } from "./message.ts";
import type { Producer } from "./producer.ts";
import { readTopic } from "./topic-reader.ts";

export interface DeadLetter {
  /** `<partition>/<offset>` in its dead-letter topic. */
  id: string;
  deadLetterTopic: string;
  group: string;
  original: Position;
  key: Buffer | null;
  value: Buffer | null;
  /** The publisher's own. */
  headers: RawHeaders;
  code: string;
  message: string;
  attempts: number;
  failedAt: string;
  replayed: boolean;
}

export interface DeadLetterSummary {
  deadLetterTopic: string;
  total: number;
  replayed: number;
  lastError: { code: string; message: string; failedAt: string } | undefined;
}

interface ReplayOptions {
  /** Only these; default all. */
  ids?: string[];
  /** Also those that were replayed before. */
  again?: boolean;
}

export interface DeadLetters {
  /** Every dead-letter topic of the engine. */
  list(): Promise<DeadLetterSummary[]>;
  show(deadLetterTopic: string): Promise<DeadLetter[]>;
  /**
   * Sends originals to the retry topic of the group that failed, so that other groups don't see them again, with a fresh
   * count of attempts. What was replayed is marked in the dead-letter topic itself, after the send: a crash between the
   * two can replay once more, which handlers must bear anyway.
   */
  replay(deadLetterTopic: string, options?: ReplayOptions): Promise<{ sent: number; skipped: number }>;
}

export interface DeadLettersOptions {
  kafka: Kafka;
  admin: KafkaAdmin;
  producer: Producer;
  /** `<namespace>.<engine>.` */
  prefix: string;
}

export function makeDeadLetters({ kafka, admin, producer, prefix }: DeadLettersOptions): DeadLetters {
  const show = async (topic: string) => lettersIn(topic, await readTopic(kafka, topic));

  return {
    async list() {
      const names = (await admin.listTopics())
        .filter((name) => name.startsWith(prefix) && name.endsWith(".dlq"))
        .sort();
      const summaries: DeadLetterSummary[] = [];
      for (const name of names) summaries.push(summarise(name, await show(name)));
      return summaries;
    },
    show,
    async replay(topic, { ids, again = false } = {}) {
      const wanted = ids === undefined ? undefined : new Set(ids);
      const chosen = (await show(topic)).filter(({ id }) => wanted?.has(id) ?? true);
      const due = chosen.filter(({ replayed }) => again || !replayed);
      for (const letter of due) {
        const { original, group, key, value, headers, id } = letter;
        await producer.send({ topic: retryTopic(original.topic, group), key, value, headers: replayHeaders(letter) });
        const partition = Number(id.split("/")[0]);
        await producer.send({
          topic,
          partition,
          key,
          value: null,
          headers: { ...headers, [headerNames.replayOf]: id },
        });
      }
      return { sent: due.length, skipped: chosen.length - due.length };
    },
  };
}

function replayHeaders({ headers, original, id }: DeadLetter): RawHeaders {
  return {
    ...headers,
    [headerNames.attempts]: "0",
    [headerNames.originalTopic]: original.topic,
    [headerNames.originalPartition]: String(original.partition),
    [headerNames.originalOffset]: original.offset.toString(),
    [headerNames.replayOf]: id,
  };
}

/** The letters among the records of a dead-letter topic: those without a group are no letters, marks say what was replayed. */
function lettersIn(topic: string, records: RawRecord[]): DeadLetter[] {
  const replayed = new Set(
    records.flatMap(({ headers }) => (isMark(headers) ? [findHeader(headers, headerNames.replayOf)] : [])),
  );
  return records.flatMap((record) => {
    const { headers, partition, offset } = record;
    const group = findHeader(headers, headerNames.group);
    const original = originalPosition(record);
    if (isMark(headers) || group === undefined || deadLetterTopic(original.topic, group) !== topic) return [];
    const id = `${partition}/${offset}`;
    return [
      {
        id,
        deadLetterTopic: topic,
        group,
        original,
        key: record.key,
        value: record.value,
        headers: publisherHeaders(headers),
        code: findHeader(headers, headerNames.errorCode) ?? "internal",
        message: findHeader(headers, headerNames.errorMessage) ?? "",
        attempts: Number(findHeader(headers, headerNames.attempts) ?? 0),
        failedAt: findHeader(headers, headerNames.failedAt) ?? "",
        replayed: replayed.has(id),
      },
    ];
  });
}

// A letter that dies again after a replay carries the id it was replayed from, and a group; a mark has no group.
function isMark(headers: RawHeaders): boolean {
  return headers[headerNames.replayOf] !== undefined && headers[headerNames.group] === undefined;
}

function summarise(topic: string, letters: DeadLetter[]): DeadLetterSummary {
  const last = letters.at(-1);
  return {
    deadLetterTopic: topic,
    total: letters.length,
    replayed: letters.filter(({ replayed }) => replayed).length,
    lastError: last === undefined ? undefined : { code: last.code, message: last.message, failedAt: last.failedAt },
  };
}
