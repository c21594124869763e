/**
 * Follows the objects of one kind: list, then watch from the list's version, and so on for ever.
 *
 *   list ──▶ watch ──(ends, breaks, silent)──▶ pause ──▶ watch from the last version seen
 *    ▲                                          │
 *    └──────── 410, or no luck for long ────────┘
 *
 * The library's informer stops for good on most errors, and cannot tell a quiet stream from a dead one.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@pricing-engine/chassis/log";
import { ExponentialBackoff, type IBackoff } from "cockatiel";
import type { Kube } from "./client.ts";
import { trackInformer } from "./informer-metrics.ts";
import { type Change, makeInformerStore } from "./informer-store.ts";
import { isExpired, KubeError } from "./kube-error.ts";
import type { KubeObject, ResourceType } from "./types.ts";

export interface InformerOptions {
  readonly kube: Pick<Kube, "list" | "watch">;
  readonly type: ResourceType;
  /** Left out: all. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  /** Must only note that it happened: the stream waits for it. For `deleted` the object is the last one seen. */
  onChange(uid: string, object: KubeObject, change: Change): void;
  /** What is kept of each object, and told; default: all but its managed fields. */
  readonly keep?: ((object: KubeObject) => KubeObject) | undefined;
  readonly logger: Pick<Logger, "debug" | "warn" | "error">;
  /** Bookmarks come about once a minute. */
  readonly silenceMs?: number;
  readonly pageSize?: number;
  readonly backoff?: { readonly initialMs: number; readonly maxMs: number };
}

export interface Informer {
  /** Resolves when the first list is in, with all its `added` told; rejects when closed before. */
  synced(): Promise<void>;
  get(uid: string): KubeObject | undefined;
  list(): readonly KubeObject[];
  /** Since the API server last said anything: a list, a change or a bookmark. */
  lastEventAgeMs(): number;
  close(): Promise<void>;
}

/** After so many failures in a row the last version itself is suspect, e.g. when etcd came back from a backup. */
const failuresToRelist = 8;

export function makeInformer(options: InformerOptions): Informer {
  const { kube, type, namespace, labelSelector, logger, silenceMs = 70_000, pageSize } = options;
  const { initialMs, maxMs } = options.backoff ?? { initialMs: 200, maxMs: 30_000 };
  const closing = new AbortController();
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => undefined);
  const store = makeInformerStore((uid, object, change) => {
    try {
      options.onChange(uid, object, change);
    } catch (error) {
      logger.error({ err: error, kind: type.kind, uid, change }, "a watch's callback failed");
    }
  }, options.keep);
  const freshBackoff = (): IBackoff<unknown> =>
    new ExponentialBackoff({ initialDelay: initialMs, maxDelay: maxMs }).next();
  let backoff = freshBackoff();
  let failures = 0;
  let lastEventAt = performance.now();
  let version: string | undefined;

  const progressed = (seen: string): void => {
    version = seen;
    lastEventAt = performance.now();
    backoff = freshBackoff();
    failures = 0;
  };

  async function relist(): Promise<string> {
    const { items, resourceVersion } = await kube.list(type, {
      namespace,
      labelSelector,
      ...(pageSize === undefined ? {} : { pageSize }),
      signal: closing.signal,
    });
    store.replace(items);
    lastEventAt = performance.now();
    version = resourceVersion;
    first.resolve();
    return resourceVersion;
  }

  async function follow(resourceVersion: string): Promise<void> {
    // Spread, so that the watches of many informers do not end together.
    const timeoutSeconds = Math.round(300 + Math.random() * 300);
    const watch = { namespace, labelSelector, resourceVersion, silenceMs, timeoutSeconds, signal: closing.signal };
    for await (const event of kube.watch(type, watch)) {
      if (event.type === "bookmark") {
        progressed(event.resourceVersion);
        continue;
      }
      store.take(event.object, event.type);
      const seen = event.object.metadata.resourceVersion;
      if (seen !== undefined) progressed(seen);
    }
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      let pauseMs = 0;
      const startedAt = performance.now();
      try {
        await follow(version ?? (await relist()));
        // An orderly end comes after minutes; a server that ends each stream at once must not be hammered.
        if (performance.now() - startedAt >= initialMs) continue;
        pauseMs = backoff.duration;
      } catch (error) {
        if (closing.signal.aborted) return;
        failures++;
        const retryAfterMs = error instanceof KubeError ? error.retryAfterMs : undefined;
        pauseMs = Math.max(backoff.duration, retryAfterMs ?? 0);
        if (isExpired(error) || failures % failuresToRelist === 0) version = undefined;
        logger[isExpired(error) ? "debug" : "warn"](
          { err: error, kind: type.kind, failures, pauseMs, relist: version === undefined },
          "a watch broke",
        );
      }
      backoff = backoff.next(undefined);
      await sleep(pauseMs, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  }

  const untrack = trackInformer(type.plural, () => performance.now() - lastEventAt);
  const running = run();
  return {
    synced: () => first.promise,
    get: store.get,
    list: store.list,
    lastEventAgeMs: () => performance.now() - lastEventAt,
    async close() {
      closing.abort();
      untrack();
      first.reject(new Error(`the informer of ${type.plural} was closed`));
      await running;
    },
  };
}
