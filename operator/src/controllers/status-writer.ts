/**
 * Writes the status of one engine: what a person waits for at once, figures rounded and every ten seconds. Written by server-side
 * apply, so that what is no longer said goes.
 */
import type { Logger } from "@pricing-engine/chassis/log";
import { apiVersion, kind } from "../api/resource.ts";
import type { EngineStatus } from "../api/status.ts";
import type { Kube } from "../kube/client.ts";
import { deniedReason, isNotFound } from "../kube/kube-error.ts";
import { resourceTypes } from "../kube/resource-types.ts";
import type { KubeObject } from "../kube/types.ts";

export interface StatusWriter {
  /** @param generation of the resource that the status is about */
  write(status: EngineStatus, generation: number): void;
  /** What the API server has: where that is not what was written last, such as what a former leader still sent, it is put right. */
  saw(object: KubeObject): void;
  /** Writes what is left. */
  close(): Promise<void>;
}

const figuresEveryMs = 10_000;
/** Changes that come together are written together. */
const gatherMs = 100;
const retryMs = { first: 2_000, most: 60_000 };

export function makeStatusWriter(deps: {
  readonly kube: Pick<Kube, "applyStatus">;
  readonly namespace: string;
  readonly name: string;
  readonly logger: Pick<Logger, "warn">;
  /** Told that the API server refuses it until a person gives the right: nothing can be said in the status. */
  onDenied(message: string): void;
}): StatusWriter {
  const { kube, logger, name, namespace } = deps;
  let latest: { readonly status: EngineStatus; readonly generation: number } | undefined;
  let written = { urgent: "", whole: "", stored: "", atMs: Number.NEGATIVE_INFINITY };
  let stored = "";
  let timer: NodeJS.Timeout | undefined;
  let dueAtMs = Number.POSITIVE_INFINITY;
  let sending: Promise<void> = Promise.resolve();
  let closed = false;
  let nextRetryMs = retryMs.first;
  let notBeforeMs = 0;

  function schedule(delayMs: number): void {
    const nowMs = performance.now();
    const atMs = Math.max(nowMs + delayMs, notBeforeMs);
    if (closed || atMs >= dueAtMs) return;
    clearTimeout(timer);
    dueAtMs = atMs;
    timer = setTimeout(() => {
      dueAtMs = Number.POSITIVE_INFINITY;
      sending = sending.then(send);
    }, atMs - nowMs);
  }

  async function send(): Promise<void> {
    if (latest === undefined) return;
    const { generation, status } = latest;
    const document = toDocument(status, generation);
    const whole = JSON.stringify(document);
    if (whole === written.whole && stored === written.stored) return;
    try {
      const metadata = { name, namespace };
      const answer = await kube.applyStatus(resourceTypes.pricingEngines, {
        ...{ apiVersion, kind },
        metadata,
        status: document,
      });
      stored = JSON.stringify(answer.status);
      written = { urgent: urgentOf(status, generation), whole, stored, atMs: performance.now() };
      nextRetryMs = retryMs.first;
    } catch (error) {
      if (isNotFound(error)) return;
      if (deniedReason(error) !== undefined) deps.onDenied((error as Error).message);
      logger.warn({ err: error }, "the status was not written");
      notBeforeMs = performance.now() + nextRetryMs;
      schedule(nextRetryMs);
      nextRetryMs = Math.min(nextRetryMs * 2, retryMs.most);
    }
  }

  return {
    write(status, generation) {
      latest = { status, generation };
      if (urgentOf(status, generation) !== written.urgent) schedule(gatherMs);
      else schedule(Math.max(gatherMs, written.atMs + figuresEveryMs - performance.now()));
    },
    saw(object) {
      if (latest === undefined) return;
      stored = JSON.stringify(object.status);
      // Word of our own writes comes late: what is seen after a moment counts.
      if (stored !== written.stored) schedule(gatherMs);
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await sending;
      await send();
    },
  };
}

/** What is told at once. */
function urgentOf(
  { conditions, manualReview = 0, processors, route, workers }: EngineStatus,
  generation: number,
): string {
  return JSON.stringify([
    generation,
    conditions.map(({ type, status, reason }) => [type, status, reason]),
    processors?.map(({ name, state }) => [name, state]),
    route,
    manualReview > 0,
    workers.map(({ role, desired }) => [role, desired]),
  ]);
}

function toDocument(status: EngineStatus, generation: number): object {
  const { summary, workers } = status;
  return {
    ...status,
    observedGeneration: generation,
    conditions: status.conditions.map((condition) => ({ ...condition, observedGeneration: generation })),
    workers: workers.map(({ drainSeconds, lag, processes, ...worker }) => ({
      ...worker,
      // Field by field: server-side apply refuses a document with one that the schema does not know.
      processes: processes.map(({ name, reason, restarts, state }) => ({
        name,
        state,
        restarts,
        ...(reason === undefined ? {} : { reason }),
      })),
      ...(lag === undefined ? {} : { lag: rounded(lag) }),
      ...(drainSeconds === undefined ? {} : { drainSeconds: rounded(drainSeconds) }),
    })),
    ...(summary === undefined
      ? {}
      : { summary: { ...summary, ...(summary.lag === undefined ? {} : { lag: rounded(summary.lag) }) } }),
  };
}

/** Two digits: a figure that moves all the time is not news. */
function rounded(figure: number): number {
  if (figure < 100) return Math.round(figure);
  const step = 10 ** (Math.floor(Math.log10(figure)) - 1);
  return Math.round(figure / step) * step;
}
