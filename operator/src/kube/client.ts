import type { KubeAccess } from "./access.ts";
import { makeCredentials } from "./credentials.ts";
import { isConflict, isNotFound } from "./kube-error.ts";
import { listAll } from "./list.ts";
import { fieldManager } from "./owned-fields.ts";
import { resourceTypeOf, resourceTypes } from "./resource-types.ts";
import { type CallOptions, makeTransport } from "./transport.ts";
import type { KubeObject, ResourceType } from "./types.ts";
import { readWatch, type WatchEvent } from "./watch-events.ts";

export interface KubeList {
  readonly items: KubeObject[];
  /** Where a watch goes on from. */
  readonly resourceVersion: string;
}

export interface Scale {
  readonly replicas: number;
  readonly resourceVersion: string;
}

export interface WatchOptions {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly resourceVersion: string;
  /** A stream without a byte for so long is dead. */
  readonly silenceMs: number;
  /** After so long the API server ends it orderly. */
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
}

/**
 * The Kubernetes API. Every call throws `KubeError`, or the reason of its signal. A 429 or 503 with Retry-After is
 * waited for within the call's time; nothing else is repeated here.
 */
export interface Kube {
  find(type: ResourceType, name: string, namespace?: string, call?: CallOptions): Promise<KubeObject | undefined>;
  /** Without a namespace: of all. */
  list(
    type: ResourceType,
    options?: { namespace?: string | undefined; labelSelector?: string | undefined; pageSize?: number } & CallOptions,
  ): Promise<KubeList>;
  create(type: ResourceType, object: KubeObject, call?: CallOptions): Promise<KubeObject>;
  /** Writes the object whole; with a resourceVersion in it, only over that version. */
  replace(type: ResourceType, object: KubeObject, call?: CallOptions): Promise<KubeObject>;
  /**
   * Server-side apply: the object has what we want and nothing else. `force` (by default) takes fields over from others.
   * With a uid in it, a namesake that was made since is refused (422), and where there is none, that is a conflict.
   * Repeating it changes nothing.
   */
  apply(object: KubeObject, options?: { force?: boolean } & CallOptions): Promise<KubeObject>;
  /** Server-side apply of the status subresource. */
  applyStatus(type: ResourceType, object: KubeObject, call?: CallOptions): Promise<KubeObject>;
  /** JSON merge patch; `metadata.resourceVersion` in it makes it conditional. */
  mergePatch(
    type: ResourceType,
    name: string,
    namespace: string | undefined,
    patch: unknown,
    options?: { subresource?: string } & CallOptions,
  ): Promise<KubeObject>;
  /** Of a Deployment. */
  readScale(name: string, namespace: string, call?: CallOptions): Promise<Scale | undefined>;
  /** Only over the version that was read: what a leader of yesterday still sends is a conflict. */
  writeScale(
    name: string,
    namespace: string,
    scale: Scale,
    call?: CallOptions,
  ): Promise<"written" | "conflict" | "absent">;
  /** What is absent is fine; so is, with a uid, another object of that name. */
  delete(
    type: ResourceType,
    name: string,
    namespace: string | undefined,
    options?: { propagation?: "Background" | "Foreground" | "Orphan"; uid?: string } & CallOptions,
  ): Promise<void>;
  /** The raw stream: `makeInformer` is what callers want. Ends when the API server ends it. */
  watch(type: ResourceType, options: WatchOptions): AsyncIterable<WatchEvent>;
  close(): Promise<void>;
}

export function makeKube(options: { readonly config: KubeAccess; readonly requestTimeoutMs?: number }): Kube {
  const transport = makeTransport(makeCredentials(options.config), options.requestTimeoutMs ?? 30_000);
  const scaleOf = (name: string, namespace: string): string =>
    pathOf(resourceTypes.deployments, namespace, name, "scale");
  const applyPatch = (path: string, body: unknown, force: boolean, call: CallOptions): Promise<KubeObject> =>
    transport.call({
      method: "PATCH",
      path,
      query: { fieldManager, force },
      // JSON is YAML.
      contentType: "application/apply-patch+yaml",
      body,
      ...call,
    }) as Promise<KubeObject>;

  return {
    async find(type, name, namespace, call = {}) {
      try {
        return (await transport.call({ method: "GET", path: pathOf(type, namespace, name), ...call })) as KubeObject;
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    list: (type, { namespace, labelSelector, pageSize = 500, ...call } = {}) =>
      listAll(type, pageSize, async (page) => {
        const query = { labelSelector, ...page };
        return await transport.call({ method: "GET", path: pathOf(type, namespace), query, ...call });
      }),
    async create(type, object, call = {}) {
      const path = pathOf(type, object.metadata.namespace);
      return (await transport.call({
        method: "POST",
        path,
        query: { fieldManager },
        body: object,
        ...call,
      })) as KubeObject;
    },
    async replace(type, object, call = {}) {
      const path = pathOf(type, object.metadata.namespace, object.metadata.name);
      return (await transport.call({
        method: "PUT",
        path,
        query: { fieldManager },
        body: object,
        ...call,
      })) as KubeObject;
    },
    async apply(object, { force = true, ...call } = {}) {
      const { name, namespace } = object.metadata;
      return await applyPatch(pathOf(resourceTypeOf(object), namespace, name), object, force, call);
    },
    async applyStatus(type, object, call = {}) {
      const { name, namespace } = object.metadata;
      return await applyPatch(pathOf(type, namespace, name, "status"), object, true, call);
    },
    async mergePatch(type, name, namespace, patch, { subresource, ...call } = {}) {
      return (await transport.call({
        method: "PATCH",
        path: pathOf(type, namespace, name, subresource),
        query: { fieldManager },
        contentType: "application/merge-patch+json",
        body: patch,
        ...call,
      })) as KubeObject;
    },
    async readScale(name, namespace, call = {}) {
      try {
        const scale = (await transport.call({ method: "GET", path: scaleOf(name, namespace), ...call })) as {
          readonly metadata: { readonly resourceVersion: string };
          readonly spec?: { readonly replicas?: number };
        };
        return { replicas: scale.spec?.replicas ?? 0, resourceVersion: scale.metadata.resourceVersion };
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    async writeScale(name, namespace, { replicas, resourceVersion }, call = {}) {
      const body = {
        apiVersion: "autoscaling/v1",
        kind: "Scale",
        metadata: { name, namespace, resourceVersion },
        spec: { replicas },
      };
      try {
        await transport.call({ method: "PUT", path: scaleOf(name, namespace), query: { fieldManager }, body, ...call });
        return "written";
      } catch (error) {
        if (isConflict(error)) return "conflict";
        if (isNotFound(error)) return "absent";
        throw error;
      }
    },
    async delete(type, name, namespace, { propagation = "Background", uid, ...call } = {}) {
      const body = {
        apiVersion: "v1",
        kind: "DeleteOptions",
        propagationPolicy: propagation,
        ...(uid === undefined ? {} : { preconditions: { uid } }),
      };
      try {
        await transport.call({ method: "DELETE", path: pathOf(type, namespace, name), body, ...call });
      } catch (error) {
        if (isNotFound(error) || (uid !== undefined && isConflict(error))) return;
        throw error;
      }
    },
    async *watch(type, { namespace, labelSelector, resourceVersion, silenceMs, timeoutSeconds, signal }) {
      const query = { watch: true, allowWatchBookmarks: true, labelSelector, resourceVersion, timeoutSeconds };
      const path = pathOf(type, namespace);
      yield* readWatch(await transport.stream({ method: "GET", path, query, signal }, silenceMs));
    },
    close: () => transport.close(),
  };
}

function pathOf(type: ResourceType, namespace?: string, name?: string, subresource?: string): string {
  if (type.namespaced && namespace === undefined && name !== undefined) {
    throw new TypeError(`a ${type.kind} is in a namespace, and ${name} was asked for without one`);
  }
  return [
    type.apiVersion.includes("/") ? `/apis/${type.apiVersion}` : `/api/${type.apiVersion}`,
    ...(type.namespaced && namespace !== undefined ? ["namespaces", encodeURIComponent(namespace)] : []),
    type.plural,
    ...(name === undefined ? [] : [encodeURIComponent(name)]),
    ...(subresource === undefined ? [] : [subresource]),
  ].join("/");
}
