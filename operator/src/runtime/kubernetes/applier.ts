/**
 * Makes objects what they should be, by server-side apply, and only when there is something to do: an object is applied when what
 * we want has changed, when it is gone, or when a field that we had set has been changed or taken away since (drift). What others
 * add, such as the annotation of `kubectl rollout restart`, is theirs.
 */
import { createHash } from "node:crypto";
import type { Manifest } from "../../core/objects/manifest.ts";
import type { Kube } from "../../kube/client.ts";
import { ownedFieldsOf } from "../../kube/owned-fields.ts";
import { resourceTypeOf } from "../../kube/resource-types.ts";
import type { KubeObject } from "../../kube/types.ts";
import type { ObjectCache } from "./object-cache.ts";
import { refuseTaken } from "./refuse-taken.ts";

export interface Applied {
  readonly object: KubeObject;
  readonly why: "made" | "changed" | "drifted";
}

export interface Applier {
  /**
   * Resolves with what was applied; undefined when nothing had to be.
   *
   * @throws NameTakenError when there is one of that name that is not the engine's.
   */
  apply(manifest: Manifest): Promise<Applied | undefined>;
}

interface Remembered {
  readonly wanted: string;
  /** The fields that were ours after our last apply. */
  readonly owned: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly atMs: number;
}

/** The cache may show an object from before our own apply for so long. */
const cacheLagMs = 3_000;

export function makeApplier(deps: {
  readonly kube: Pick<Kube, "apply" | "find">;
  readonly cache: Pick<ObjectCache, "find">;
  readonly nowMs: () => number;
}): Applier {
  const known = new Map<string, Remembered>();
  /** An object is made once for many passes. */
  const digests = new WeakMap<Manifest, string>();

  function digestOf(manifest: Manifest): string {
    const found = digests.get(manifest) ?? createHash("sha256").update(JSON.stringify(manifest)).digest("base64");
    digests.set(manifest, found);
    return found;
  }

  function findReason(manifest: Manifest, wanted: string, before: Remembered | undefined): Applied["why"] | undefined {
    const { name, namespace } = manifest.metadata;
    const seen = deps.cache.find(resourceTypeOf(manifest), namespace, name);
    const isFresh = before !== undefined && deps.nowMs() - before.atMs < cacheLagMs;
    if (before === undefined) return seen === undefined ? "made" : "changed";
    if (before.wanted !== wanted) return "changed";
    if (seen === undefined) return isFresh || !isCached(manifest) ? undefined : "drifted";
    if (seen.metadata.resourceVersion === before.resourceVersion) return undefined;
    if (isFresh || seen.metadata.deletionTimestamp !== undefined) return undefined;
    return ownedFieldsOf(seen) === before.owned ? undefined : "drifted";
  }

  async function refuseForeign(manifest: Manifest): Promise<void> {
    const { name, namespace } = manifest.metadata;
    refuseTaken(manifest, await deps.kube.find(resourceTypeOf(manifest), name, namespace));
  }

  return {
    async apply(manifest) {
      const key = `${manifest.kind}/${manifest.metadata.namespace}/${manifest.metadata.name}`;
      const wanted = digestOf(manifest);
      const why = findReason(manifest, wanted, known.get(key));
      if (why === undefined) return undefined;
      if (why === "made") await refuseForeign(manifest);
      const object = await deps.kube.apply(manifest);
      known.set(key, {
        wanted,
        owned: ownedFieldsOf(object),
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
