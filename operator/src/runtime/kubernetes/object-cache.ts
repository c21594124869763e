/**
 * What the API server holds of all engines, kept by one informer for each kind: reconciling an engine that is as it should be asks
 * nobody. Engines' own objects are found by their label; autoscalers all, since a foreign one may aim at our workers.
 */
import type { Logger } from "@pricing-engine/chassis/log";
import { managedBy } from "../../core/objects/manifest.ts";
import { managedByLabel } from "../../core/objects/naming.ts";
import type { Kube } from "../../kube/client.ts";
import { type Informer, makeInformer } from "../../kube/informer.ts";
import { resourceTypes } from "../../kube/resource-types.ts";
import type { KubeObject, ResourceType } from "../../kube/types.ts";

export interface EngineKey {
  readonly namespace: string;
  readonly name: string;
}

export interface ObjectCache {
  synced(): Promise<void>;
  find(type: ResourceType, namespace: string, name: string): KubeObject | undefined;
  /** The objects with the engine's labels. */
  ofEngine(type: ResourceType, engine: EngineKey): readonly KubeObject[];
  /** Everything of the kind in the namespace, whoever made it. */
  inNamespace(type: ResourceType, namespace: string): readonly KubeObject[];
  /** Resolves when an object of the engine, or an autoscaler beside it, changes; or when the signal aborts. */
  changed(engine: EngineKey, signal: AbortSignal): Promise<void>;
  /** The longest since any informer heard something. */
  lastEventAgeMs(): number;
  close(): Promise<void>;
}

const kinds: readonly ResourceType[] = [
  resourceTypes.deployments,
  resourceTypes.pods,
  resourceTypes.jobs,
  resourceTypes.services,
  resourceTypes.configMaps,
  resourceTypes.serviceAccounts,
  resourceTypes.podDisruptionBudgets,
  resourceTypes.networkPolicies,
  resourceTypes.ingresses,
  resourceTypes.horizontalPodAutoscalers,
];

const instanceLabel = "app.kubernetes.io/instance";
const engineOf = ({ namespace, name }: EngineKey): string => `${namespace}/${name}`;

export function makeObjectCache(options: {
  readonly kube: Pick<Kube, "list" | "watch">;
  /** Left out: all. */
  readonly namespace?: string | undefined;
  readonly logger: Pick<Logger, "debug" | "warn" | "error">;
}): ObjectCache {
  const { kube, logger, namespace } = options;
  /** Kind → namespace/name → object. */
  const objects = new Map<string, Map<string, KubeObject>>(kinds.map(({ kind }) => [kind, new Map()]));
  const waiters = new Map<string, Set<() => void>>();

  function wake(object: KubeObject, foreignToo: boolean): void {
    const inNamespace = `${object.metadata.namespace ?? ""}/`;
    const own = `${inNamespace}${object.metadata.labels?.[instanceLabel] ?? ""}`;
    for (const [engine, listeners] of waiters) {
      if (engine === own || (foreignToo && engine.startsWith(inNamespace))) for (const notify of listeners) notify();
    }
  }

  const informers: readonly Informer[] = kinds.map((type) => {
    const isForeignToo = type.kind === resourceTypes.horizontalPodAutoscalers.kind;
    return makeInformer({
      kube,
      type,
      namespace,
      ...(isForeignToo ? {} : { labelSelector: `${managedByLabel}=${managedBy}` }),
      logger,
      onChange(_uid, object, change) {
        const ofKind = objects.get(type.kind);
        const key = engineOf({ namespace: object.metadata.namespace ?? "", name: object.metadata.name });
        // A successor of the same name may have come before word of the end of the first.
        if (change !== "deleted") ofKind?.set(key, object);
        else if (ofKind?.get(key)?.metadata.uid === object.metadata.uid) ofKind?.delete(key);
        wake(object, isForeignToo);
      },
    });
  });

  return {
    async synced() {
      await Promise.all(informers.map((informer) => informer.synced()));
    },
    find: (type, inNamespace, name) => objects.get(type.kind)?.get(engineOf({ namespace: inNamespace, name })),
    ofEngine: (type, engine) =>
      [...(objects.get(type.kind)?.values() ?? [])].filter(
        ({ metadata }) => metadata.namespace === engine.namespace && metadata.labels?.[instanceLabel] === engine.name,
      ),
    inNamespace: (type, wanted) =>
      [...(objects.get(type.kind)?.values() ?? [])].filter(({ metadata }) => metadata.namespace === wanted),
    changed(engine, signal) {
      const { promise, resolve } = Promise.withResolvers<void>();
      if (signal.aborted) return Promise.resolve();
      const key = engineOf(engine);
      const listeners = waiters.get(key) ?? new Set();
      waiters.set(key, listeners);
      const notify = (): void => resolve();
      listeners.add(notify);
      signal.addEventListener("abort", notify, { once: true });
      return promise.finally(() => {
        signal.removeEventListener("abort", notify);
        listeners.delete(notify);
        if (listeners.size === 0) waiters.delete(key);
      });
    },
    lastEventAgeMs: () => Math.max(...informers.map((informer) => informer.lastEventAgeMs())),
    async close() {
      await Promise.all(informers.map((informer) => informer.close()));
    },
  };
}
