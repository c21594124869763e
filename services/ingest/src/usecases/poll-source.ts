import type { SourceSettings } from "@pricing-engine/contracts";
import { type FeedAnswer, type FeedClient, findFetchFailure } from "../adapters/feed-client.ts";
import type { FindKnownPlans, KnownPlan } from "../adapters/known-plans.ts";
import type { Claim, PollResult } from "../adapters/source-store.ts";
import type { Digest } from "../domain/identity.ts";
import { makeToInstant } from "../domain/local-time.ts";
import { type PollFacts, type ReadEvent, toCatalogEvent, toRejection } from "../domain/read-feed.ts";
import { nextAttemptMs } from "../domain/schedule.ts";
import { makeDecoder } from "../formats/decode.ts";
import { FeedFault } from "../formats/feed-reader.ts";
import { formats } from "../formats/formats.ts";
import { type EventBatch, makeEventBatch, type WaitingEvent } from "./event-batch.ts";

export interface PollSourceDeps {
  readonly client: FeedClient;
  readonly findKnownPlans: FindKnownPlans;
  /** Whether workers have stored all that Kafka has. */
  readonly isDrained: () => Promise<boolean>;
  readonly encode: (read: ReadEvent) => string;
  /** Resolves once Kafka has what `encode` made of the event with this id. */
  readonly publish: (id: string, message: Buffer) => Promise<void>;
  readonly digest: Digest;
  readonly random: () => number;
}

export interface PollOptions {
  readonly token: string | undefined;
  readonly currency: string;
  /** Aborts when the lease is lost or the process ends: nothing is published after it. */
  readonly signal: AbortSignal;
}

/** Rejects when Kafka or Postgres fails, which says nothing of the provider, or when the signal aborts; all that a provider can do is a result. */
export type PollSource = (source: SourceSettings, claim: Claim, options: PollOptions) => Promise<PollResult>;

const maxPlans = 1_000_000;

export function makePollSource(deps: PollSourceDeps): PollSource {
  const { client, digest, random } = deps;

  return async (source, claim, { token, currency, signal }) => {
    const counts = { seen: 0, changed: 0, rejected: 0 };
    const fail = (outcome: "failed" | "partial", error: string, retryAfterMs?: number): PollResult => {
      const failures = claim.failures + 1;
      const nextMs = nextAttemptMs(
        { ok: false, retryAfterMs },
        { failures, intervalMs: source.intervalMs, random: random() },
      );
      // Published plans may be another document's than the last whole one: then it must be read again, changed or not.
      const kept = counts.changed === 0 ? lastDocument : { settled: false, validators: undefined };
      return { outcome, error: error.slice(0, 300), failures, nextMs, ...counts, ...kept };
    };
    const lastDocument = {
      settled: claim.settled,
      validators: { etag: claim.etag, lastModified: claim.lastModified },
    };
    const succeed = (
      outcome: "whole" | "unchanged",
      document: Pick<PollResult, "settled" | "validators">,
    ): PollResult => {
      const nextMs = nextAttemptMs({ ok: true }, { failures: 0, intervalMs: source.intervalMs, random: random() });
      return { outcome, error: undefined, failures: 0, nextMs, ...counts, ...document };
    };

    let answer: FeedAnswer;
    try {
      answer = await client.fetch({
        url: source.url,
        token,
        etag: claim.etag,
        lastModified: claim.lastModified,
        timeoutMs: source.timeoutMs,
        signal,
      });
    } catch (error) {
      const failure = signal.aborted ? undefined : findFetchFailure(error);
      if (failure === undefined) throw error;
      return fail("failed", failure);
    }
    if (answer.kind === "refused") return fail("failed", answer.error, answer.retryAfterMs);
    if (answer.kind === "unchanged") return succeed("unchanged", lastDocument);
    const facts: PollFacts = {
      source: source.name,
      sequence: claim.sequence,
      observedAt: claim.observedAt.toISOString(),
      products: source.products,
      currency,
    };
    const publisher = makePublisher(deps, { counts, claim, signal });
    const fault = await readDocument(source, answer, facts, { digest, counts, publisher, signal });
    if (fault !== undefined) return fail(counts.seen > 0 ? "partial" : "failed", fault);
    const settled = counts.changed === 0 && (claim.settled || (await deps.isDrained()));
    return succeed("whole", { settled, validators: { etag: answer.etag, lastModified: answer.lastModified } });
  };
}

interface Counts {
  seen: number;
  changed: number;
  rejected: number;
}

/** Resolves with what broke the document off; undefined when it was read to its end. All that was read whole is in Kafka by then. */
async function readDocument(
  source: SourceSettings,
  answer: { contentType: string | undefined; body: AsyncIterable<Uint8Array> },
  facts: PollFacts,
  { digest, counts, publisher, signal }: { digest: Digest; counts: Counts; publisher: Publisher; signal: AbortSignal },
): Promise<string | undefined> {
  const toInstant = makeToInstant(source.timezone);
  const seen = new Set<number>();
  const decoder = makeDecoder(answer.contentType);
  const reader = formats[source.format]((raw) => {
    counts.seen += 1;
    if (counts.seen > maxPlans) throw new FeedFault("too_large", `more than ${maxPlans} plans`);
    let read = toCatalogEvent(raw, facts, { digest, toInstant });
    const mark = markOf(read.event.id);
    if (seen.has(mark)) {
      read = toRejection(raw, facts, { reason: "duplicate", detail: "the document has this plan twice" }, digest);
    }
    seen.add(mark);
    if (read.event.kind === "rejected") counts.rejected += 1;
    publisher.add(read);
  });
  let fault: string | undefined;
  try {
    for await (const chunk of answer.body) {
      signal.throwIfAborted();
      reader.write(decoder.write(chunk));
      await publisher.relieve();
    }
    reader.write(decoder.end());
    reader.end();
  } catch (error) {
    fault = signal.aborted || publisher.failed() ? undefined : findFetchFailure(error);
    if (fault === undefined) throw error;
  }
  await publisher.flush();
  return fault;
}

/** 52 bits of the id: a set of numbers is small, and two of a million plans share one in 1 of 10,000 documents. */
function markOf(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13) + id.slice(15, 16), 16);
}

interface Publisher {
  add(read: ReadEvent): void;
  /** Waits while a batch is full and the one before is not in Kafka yet. */
  relieve(): Promise<void>;
  flush(): Promise<void>;
  /** Whether what is thrown is the publisher's. */
  failed(): boolean;
}

/** Batches that are looked up and published while the next one is read: what one waits for, the others use. */
const batchesUnderWay = 2;

function makePublisher(
  deps: PollSourceDeps,
  { counts, claim, signal }: { counts: Counts; claim: Claim; signal: AbortSignal },
): Publisher {
  const idle: EventBatch[] = [];
  const underWay = new Set<Promise<void>>();
  let filling = makeEventBatch();
  let failed = false;

  const send = async (batch: EventBatch): Promise<void> => {
    try {
      const { events } = batch;
      const known = await deps.findKnownPlans(events, claim.settled ? undefined : claim.sequence);
      const changed = events.filter((event) => hasChanged(event, known.get(event.id)));
      signal.throwIfAborted();
      // Counted before: what fails half-way may be in Kafka.
      counts.changed += changed.length;
      await Promise.all(changed.map(({ id, message }) => deps.publish(id, message)));
      batch.clear();
      idle.push(batch);
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  const next = async (): Promise<void> => {
    while (underWay.size >= batchesUnderWay) await Promise.race(underWay);
    if (filling.events.length === 0) return;
    const sending = send(filling);
    underWay.add(sending);
    // What fails stays, for whoever waits next; until then it must not count as unhandled.
    sending.then(
      () => underWay.delete(sending),
      () => undefined,
    );
    filling = idle.pop() ?? makeEventBatch();
  };

  return {
    add: (read) => filling.add(read.event, deps.encode(read)),
    async relieve() {
      if (failed) await Promise.all(underWay);
      if (filling.isFull) await next();
    },
    async flush() {
      await next();
      await Promise.all(underWay);
    },
    failed: () => failed,
  };
}

/** A valid plan is news also when it is as before a refused version: that one is no longer what the feed says. */
function hasChanged(event: WaitingEvent, known: KnownPlan | undefined): boolean {
  if (event.kind === "rejected") return known?.rejectedHash !== event.contentHash;
  return known?.planHash !== event.contentHash || known.rejectedHash !== undefined;
}
