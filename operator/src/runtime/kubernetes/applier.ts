/**
 * Makes objects what they should be, by server-side apply, and only when there is something to do: an object is applied when what
 * we want has changed, when it is gone, or when it is no longer what the API server made of our last apply (drift).
 */
import { createHash } from "node:crypto";
import type { Manifest } from "../../core/objects/manifest.ts";
import type { Kube } from "../../kube/client.ts";
import { resourceTypeOf } from "../../kube/resource-types.ts";
import type { KubeObject } from "../../kube/types.ts";
import type { ObjectCache } from "./object-cache.ts";

export interface Applied {
  readonly object: KubeObject;
  readonly why: "made" | "changed" | "drifted";
}

export interface Applier {
  /** Resolves with what was applied; undefined when nothing had to be. */
  apply(manifest: Manifest): Promise<Applied | undefined>;
}

interface Remembered {
  readonly wanted: string;
  /** Of the object as our last apply left it. */
  readonly left: string;
  readonly resourceVersion: string | undefined;
  readonly atMs: number;
}

/** The cache may show an object from before our own apply for so long. */
const cacheLagMs = 3_000;

export function makeApplier(deps: {
  readonly kube: Pick<Kube, "apply">;
  readonly cache: Pick<ObjectCache, "find">;
  readonly nowMs: () => number;
}): Applier {
  const known = new Map<string, Remembered>();

  function findReason(manifest: Manifest, wanted: string, before: Remembered | undefined): Applied["why"] | undefined {
    const { name, namespace } = manifest.metadata;
    const seen = deps.cache.find(resourceTypeOf(manifest), namespace, name);
    const isFresh = before !== undefined && deps.nowMs() - before.atMs < cacheLagMs;
    if (before === undefined) return seen === undefined ? "made" : "changed";
    if (before.wanted !== wanted) return "changed";
    if (seen === undefined) return isFresh || !isCached(manifest) ? undefined : "drifted";
    if (seen.metadata.resourceVersion === before.resourceVersion) return undefined;
    if (isFresh || seen.metadata.deletionTimestamp !== undefined) return undefined;
    return fingerprint(seen, manifest) === before.left ? undefined : "drifted";
  }

  return {
    async apply(manifest) {
      const key = `${manifest.kind}/${manifest.metadata.namespace}/${manifest.metadata.name}`;
      const wanted = digest(manifest);
      const why = findReason(manifest, wanted, known.get(key));
      if (why === undefined) return undefined;
      const object = await deps.kube.apply(manifest);
      known.set(key, {
        wanted,
        left: fingerprint(object, manifest),
        resourceVersion: object.metadata.resourceVersion,
        atMs: deps.nowMs(),
      });
      return { object, why };
    },
  };
}

/** HTTPRoutes are not watched: their kind may not exist. */
function isCached({ kind }: Manifest): boolean {
  return kind !== "HTTPRoute";
}

/** Of what a person could have changed: not of what the API server or other controllers add. */
function fingerprint(object: KubeObject, manifest: Manifest): string {
  const { labels = {}, ownerReferences } = object.metadata;
  const ours = Object.fromEntries(Object.keys(manifest.metadata.labels ?? {}).map((name) => [name, labels[name]]));
  const { spec, data, automountServiceAccountToken } = object as { spec?: object; data?: object } & KubeObject;
  const { replicas, ...rest } = (spec ?? {}) as { replicas?: number };
  const wantsReplicas = "replicas" in ((manifest.spec as object | undefined) ?? {});
  return digest([ours, ownerReferences, rest, wantsReplicas ? replicas : null, data, automountServiceAccountToken]);
}

function digest(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("base64");
}
