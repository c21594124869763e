/**
 * All engines of a cluster or a namespace. Both replicas watch, so that the standby is warm; the leader alone has sessions.
 *
 *   informer ──uid──▶ queue ──▶ session of that uid ──▶ its own loops (pass, prober, scaling)
 */
import type { Logger } from "@pricing-engine/chassis/log";
import { withSpan } from "@pricing-engine/chassis/telemetry";
import type { KafkaAdmins } from "../adapters/kafka-admins.ts";
import type { EngineStatus } from "../api/status.ts";
import type { ObjectContext } from "../core/objects/naming.ts";
import type { Kube } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import { makeInformer } from "../kube/informer.ts";
import { deniedReason } from "../kube/kube-error.ts";
import { resourceTypes } from "../kube/resource-types.ts";
import type { KubeObject } from "../kube/types.ts";
import { makeWorkQueue } from "../kube/work-queue.ts";
import type { ObjectCache } from "../runtime/kubernetes/object-cache.ts";
import type { EngineMetrics } from "./engine-metrics.ts";
import { type EngineSession, makeEngineSession } from "./engine-session.ts";
import { ensureFinalizer, finalize } from "./finalizer.ts";

export interface ControllerDeps {
  /** Reads. */
  readonly kube: Kube;
  /** Writes, while this process leads. */
  readonly fenced: Kube;
  readonly cache: ObjectCache;
  readonly admins: KafkaAdmins;
  readonly namespace?: string | undefined;
  readonly images: ObjectContext["images"];
  readonly operatorNamespace: string;
  readonly recorder: EventRecorder;
  readonly metrics: EngineMetrics;
  readonly logger: Logger;
  isLeader(): boolean;
}

export interface Controller {
  synced(): Promise<void>;
  /** Called when leadership begins. */
  lead(): void;
  /** Called when it ends: nothing more is decided here. */
  follow(): void;
  lastEventAgeMs(): number;
  /** What is known of each engine, by `<namespace>/<name>`. */
  engines(): Readonly<Record<string, EngineStatus | undefined>>;
  close(): Promise<void>;
}

/** While the pods of an engine that is deleted still end. */
const finalizeEveryMs = 1_000;

export function makeController(deps: ControllerDeps): Controller {
  const { cache, fenced, kube, logger, namespace, recorder } = deps;
  const sessions = new Map<string, { readonly name: string; readonly session: EngineSession }>();

  /** Of each engine, what was asked for when it was last looked at. */
  const seen = new Map<string, string>();

  const queue = makeWorkQueue<string>({
    name: "pricingengine",
    concurrency: 4,
    logger,
    run: (uid) =>
      withSpan("reconcile", { attributes: { uid } }, () =>
        reconcile(uid).catch((error: unknown) => explain(uid, error)),
      ),
  });
  const informer = makeInformer({
    kube,
    type: resourceTypes.pricingEngines,
    namespace,
    logger,
    onChange(uid, object, change) {
      sessions.get(uid)?.session.saw(object);
      // The status is our own word, and no reason to look again.
      const asked = change === "deleted" ? undefined : JSON.stringify(whatIsAsked(object));
      if (asked !== undefined && seen.get(uid) === asked) return;
      if (asked === undefined) seen.delete(uid);
      else seen.set(uid, asked);
      queue.add(uid);
    },
  });

  async function reconcile(uid: string): Promise<{ requeueAfterMs?: number } | undefined> {
    if (!deps.isLeader()) return undefined;
    await cache.synced();
    const object = informer.get(uid);
    if (object === undefined || object.metadata.deletionTimestamp !== undefined) {
      await end(uid);
      if (object === undefined) return undefined;
      const isDone = await finalize({ kube: fenced, admins: deps.admins, cache, recorder, logger }, object);
      return isDone ? undefined : { requeueAfterMs: finalizeEveryMs };
    }
    await ensureFinalizer(fenced, object);
    if (!deps.isLeader()) return undefined;
    const { name, namespace: inNamespace = "default" } = object.metadata;
    const engine = `${inNamespace}/${name}`;
    const known = sessions.get(uid) ?? {
      name: engine,
      session: makeEngineSession(object, { ...deps, kube: fenced, logger: logger.child({ engine }) }),
    };
    sessions.set(uid, known);
    return await known.session.reconcile(object);
  }

  /** Of what may happen before there is a condition to say it in, or after. The queue waits longer each time. */
  function explain(uid: string, error: unknown): never {
    const object = informer.get(uid);
    const reason = deniedReason(error);
    if (object !== undefined && reason !== undefined) {
      recorder.record(object, { type: "Warning", reason, note: (error as Error).message });
    }
    throw error;
  }

  async function end(uid: string): Promise<void> {
    const known = sessions.get(uid);
    sessions.delete(uid);
    await known?.session.close();
  }

  return {
    synced: () => informer.synced(),
    lead() {
      for (const { metadata } of informer.list()) if (metadata.uid !== undefined) queue.add(metadata.uid);
    },
    follow() {
      for (const uid of [...sessions.keys()]) {
        end(uid).catch((error: unknown) => logger.warn({ err: error, uid }, "an engine was not let go"));
      }
    },
    lastEventAgeMs: () => Math.max(informer.lastEventAgeMs(), cache.lastEventAgeMs()),
    engines: () => Object.fromEntries([...sessions.values()].map(({ name, session }) => [name, session.status()])),
    async close() {
      await informer.close();
      await queue.close();
      await Promise.all([...sessions.keys()].map(end));
    },
  };
}

/** `generation` counts the changes of the spec. */
function whatIsAsked({ metadata }: KubeObject): unknown {
  const { annotations, deletionTimestamp, finalizers, generation } = metadata;
  return [generation, annotations, finalizers, deletionTimestamp];
}
