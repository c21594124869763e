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

type Keep = (object: KubeObject) => KubeObject;

const metadataOnly: Keep = ({ apiVersion, kind, metadata }) => ({ apiVersion, kind, metadata });
const withStatus: Keep = (object) => ({ ...metadataOnly(object), status: object.status });

/** Of a Deployment, how many there should be and of what version: its pods' specs are most of it. */
const keepDeployment: Keep = (object) => {
  const { replicas, template } = (object.spec ?? {}) as { replicas?: number; template?: Pick<KubeObject, "metadata"> };
  const annotations = template?.metadata.annotations;
  return { ...metadataOnly(object), spec: { replicas, template: { metadata: { annotations } } } };
};

/** The kinds, and what is kept of each: what has drifted is in the digest that an informer makes. */
const kinds: ReadonlyMap<ResourceType, Keep | undefined> = new Map([
  [resourceTypes.deployments, keepDeployment],
  [resourceTypes.pods, withStatus],
  [resourceTypes.jobs, withStatus],
  [resourceTypes.services, metadataOnly],
  [resourceTypes.configMaps, undefined],
  [resourceTypes.serviceAccounts, metadataOnly],
  [resourceTypes.podDisruptionBudgets, metadataOnly],
  [resourceTypes.networkPolicies, metadataOnly],
  [resourceTypes.ingresses, metadataOnly],
  [resourceTypes.horizontalPodAutoscalers, undefined],
]);

const instanceLabel = "app.kubernetes.io/instance";
const engineOf = ({ namespace, name }: EngineKey): string => `${namespace}/${name}`;
const keyOf = ({ metadata: { name, namespace = "" } }: KubeObject): string => engineOf({ namespace, name });
/** By its label. */
const ownerOf = ({ metadata: { labels, namespace = "" } }: KubeObject): string =>
  engineOf({ namespace, name: labels?.[instanceLabel] ?? "" });

export function makeObjectCache(options: {
  readonly kube: Pick<Kube, "list" | "watch">;
  /** Left out: all. */
  readonly namespace?: string | undefined;
  readonly logger: Pick<Logger, "debug" | "warn" | "error">;
}): ObjectCache {
  const { kube, logger, namespace } = options;
  /** Kind → namespace/name → object. */
  const objects = new Map<string, Map<string, KubeObject>>();
  /** Kind → namespace/engine → namespace/name → object. */
  const ofEngines = new Map<string, Map<string, Map<string, KubeObject>>>();
  for (const { kind } of kinds.keys()) {
    objects.set(kind, new Map());
    ofEngines.set(kind, new Map());
  }
  const waiters = new Map<string, Set<() => void>>();

  function put(kind: string, object: KubeObject): void {
    const key = keyOf(object);
    const former = objects.get(kind)?.get(key);
    if (former !== undefined) remove(kind, former);
    objects.get(kind)?.set(key, object);
    const engine = ownerOf(object);
    const engines = ofEngines.get(kind);
    const own = engines?.get(engine) ?? new Map<string, KubeObject>();
    engines?.set(engine, own.set(key, object));
  }

  function remove(kind: string, object: KubeObject): void {
    const key = keyOf(object);
    objects.get(kind)?.delete(key);
    const engines = ofEngines.get(kind);
    const own = engines?.get(ownerOf(object));
    own?.delete(key);
    if (own?.size === 0) engines?.delete(ownerOf(object));
  }

  function wake(object: KubeObject, foreignToo: boolean): void {
    const inNamespace = `${object.metadata.namespace ?? ""}/`;
    const own = ownerOf(object);
    for (const [engine, listeners] of waiters) {
      if (engine === own || (foreignToo && engine.startsWith(inNamespace))) for (const notify of listeners) notify();
    }
  }

  const informers: readonly Informer[] = [...kinds].map(([type, keep]) => {
    const isForeignToo = type.kind === resourceTypes.horizontalPodAutoscalers.kind;
    return makeInformer({
      kube,
      type,
      namespace,
      ...(isForeignToo ? {} : { labelSelector: `${managedByLabel}=${managedBy}` }),
      keep,
      logger,
      onChange(_uid, object, change) {
        const known = objects.get(type.kind)?.get(keyOf(object));
        if (change !== "deleted") put(type.kind, object);
        // A successor of the same name may have come before word of the end of the first.
        else if (known !== undefined && known.metadata.uid === object.metadata.uid) remove(type.kind, known);
        wake(object, isForeignToo);
      },
    });
  });

  return {
    async synced() {
      await Promise.all(informers.map((informer) => informer.synced()));
    },
    find: (type, inNamespace, name) => objects.get(type.kind)?.get(engineOf({ namespace: inNamespace, name })),
    ofEngine: (type, engine) => [...(ofEngines.get(type.kind)?.get(engineOf(engine))?.values() ?? [])],
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
