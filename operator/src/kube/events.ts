import { randomBytes } from "node:crypto";
import type { Logger } from "@pricing-engine/chassis/log";
import { counter } from "@pricing-engine/chassis/metrics";
import type { Kube } from "./client.ts";
import { makeEventBudget } from "./event-budget.ts";
import { isNotFound, KubeError } from "./kube-error.ts";
import { resourceTypes } from "./resource-types.ts";
import type { KubeObject } from "./types.ts";
import { makeWorkQueue } from "./work-queue.ts";

export interface KubeEvent {
  readonly type: "Normal" | "Warning";
  /** One word in CamelCase, for machines. */
  readonly reason: string;
  /** For people; cut at 1 KiB. */
  readonly note: string;
  /** What we did about it; the reason when left out. */
  readonly action?: string;
}

export interface EventRecorderOptions {
  readonly kube: Pick<Kube, "create" | "mergePatch">;
  /** `pricing-engine.dev/operator`: shown by `kubectl describe` as From. */
  readonly component: string;
  /** The pod. */
  readonly instance: string;
  readonly logger: Pick<Logger, "warn">;
  /** Of one object: so many at once, then one per interval. */
  readonly burst?: number;
  readonly refillMs?: number;
  /** A repeated event's count is written as often as this. */
  readonly countEveryMs?: number;
  /** An event that did not repeat for so long is a new one the next time. */
  readonly seriesMs?: number;
  readonly maxSeries?: number;
}

export interface EventRecorder {
  /** Never throws and never waits: events are a courtesy. */
  record(regarding: KubeObject, event: KubeEvent): void;
  /** What is remembered: events that wait, and those that may repeat. */
  size(): number;
  /** Writes what is left, for two seconds at most. */
  close(): Promise<void>;
}

/** The same thing told about the same object, however often. */
interface Series {
  readonly regarding: KubeObject;
  readonly event: KubeEvent;
  readonly firstAt: Date;
  lastAt: Date;
  count: number;
  /** Of the event that stands for it, once it was made. */
  name: string | undefined;
  writtenCount: number;
  writtenAtMs: number;
  failures: number;
}

const outcomes = counter({
  name: "pricing_engine_operator_events_total",
  help: "Kubernetes Events by what became of them.",
  labels: ["outcome"],
});
const failuresToDrop = 5;
const closeWithinMs = 2000;

export function makeEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { kube, component, instance, logger, maxSeries = 2000 } = options;
  const { countEveryMs = 10_000, seriesMs = 360_000, burst = 25, refillMs = 60_000 } = options;
  /** The one that was used last comes last. */
  const all = new Map<string, Series>();
  const budget = makeEventBudget({ burst, refillMs, maxObjects: maxSeries });
  const queue = makeWorkQueue<string>({ name: "events", run: write, concurrency: 2, logger });
  let closing = false;

  async function write(key: string, signal: AbortSignal): Promise<{ requeueAfterMs: number } | undefined> {
    const series = all.get(key);
    if (series === undefined || series.count === series.writtenCount) return undefined;
    const waitMs = series.writtenAtMs + countEveryMs - performance.now();
    if (series.name !== undefined && waitMs > 0 && !closing) return { requeueAfterMs: waitMs };
    const { count, lastAt } = series;
    try {
      const updated = series.name !== undefined && (await updateCount(series, count, lastAt, signal));
      if (!updated) await create(series, count, lastAt, signal);
      Object.assign(series, { writtenCount: count, writtenAtMs: performance.now(), failures: 0 });
      outcomes.inc({ outcome: "written" });
    } catch (error) {
      if (signal.aborted) return undefined;
      series.failures++;
      // Refused will be refused again: no right to write events, or the namespace is going.
      const refused = error instanceof KubeError && !error.retryable;
      if (!refused && series.failures < failuresToDrop) throw error;
      drop(key);
      outcomes.inc({ outcome: "failed" });
      logger.warn({ err: error, reason: series.event.reason }, "an event was not written");
    }
    return undefined;
  }

  /** False when the API server has forgotten it: events live for an hour. */
  async function updateCount(
    { regarding, name }: Series,
    count: number,
    lastAt: Date,
    signal: AbortSignal,
  ): Promise<boolean> {
    const patch = { series: { count: Math.max(2, count), lastObservedTime: microTime(lastAt) } };
    try {
      await kube.mergePatch(resourceTypes.events, name ?? "", namespaceOf(regarding), patch, { signal });
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async function create(series: Series, count: number, lastAt: Date, signal: AbortSignal): Promise<void> {
    const { regarding, event, firstAt } = series;
    const namespace = namespaceOf(regarding);
    const name = `${regarding.metadata.name.slice(0, 200)}.${randomBytes(8).toString("hex")}`;
    const { uid, resourceVersion } = regarding.metadata;
    const object = {
      apiVersion: resourceTypes.events.apiVersion,
      kind: resourceTypes.events.kind,
      metadata: { name, namespace },
      eventTime: microTime(firstAt),
      reportingController: component,
      reportingInstance: instance.slice(0, 128),
      type: event.type,
      reason: event.reason,
      action: event.action ?? event.reason,
      note: cut(event.note, 1024),
      regarding: {
        apiVersion: regarding.apiVersion,
        kind: regarding.kind,
        name: regarding.metadata.name,
        ...(regarding.metadata.namespace === undefined ? {} : { namespace }),
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      },
      ...(count < 2 ? {} : { series: { count, lastObservedTime: microTime(lastAt) } }),
    };
    await kube.create(resourceTypes.events, object, { signal });
    series.name = name;
  }

  function drop(key: string): void {
    all.delete(key);
    queue.forget(key);
  }

  function record(regarding: KubeObject, event: KubeEvent): void {
    if (closing) return;
    const { namespace = "", name, uid = "" } = regarding.metadata;
    const object = [regarding.kind, namespace, name, uid].join("/");
    const key = JSON.stringify([object, event.type, event.reason, event.action, event.note]);
    const now = new Date();
    const known = all.get(key);
    const isRepeated = known !== undefined && now.getTime() - known.lastAt.getTime() < seriesMs;
    if (!isRepeated && !budget.take(object, performance.now())) {
      outcomes.inc({ outcome: "limited" });
      return;
    }
    const series: Series = isRepeated
      ? known
      : {
          regarding,
          event,
          firstAt: now,
          lastAt: now,
          count: 0,
          name: undefined,
          writtenCount: 0,
          writtenAtMs: Number.NEGATIVE_INFINITY,
          failures: 0,
        };
    series.count++;
    series.lastAt = now;
    all.delete(key);
    all.set(key, series);
    queue.add(key);
    for (const oldest of all.keys()) {
      if (all.size <= maxSeries) break;
      drop(oldest);
    }
  }

  return {
    record(regarding, event) {
      try {
        record(regarding, event);
      } catch (error) {
        logger.warn({ err: error, reason: event.reason }, "an event was not taken");
      }
    },
    size: () => all.size,
    async close() {
      if (closing) return;
      closing = true;
      for (const [key, series] of all) if (series.count !== series.writtenCount) queue.add(key);
      const deadline = performance.now() + closeWithinMs;
      while (queue.size() > 0 && performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await queue.close();
    },
  };
}

/** Events of what is in no namespace are kept in `default`. */
function namespaceOf({ metadata }: KubeObject): string {
  return metadata.namespace ?? "default";
}

/** At so many bytes of UTF-8, in no middle of a character. */
function cut(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  let end = maxBytes - 3;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${bytes.toString("utf8", 0, end)}…`;
}

/** The API server takes exactly six digits. */
function microTime(date: Date): string {
  return date.toISOString().replace("Z", "000Z");
}
