/**
 * Live settings in a ConfigMap, for pods that start, and in Redis, for those that run: one document with its writer's term. A term
 * begins by reading both and going one above them; the ConfigMap is written over the version that was read alone. So what a
 * leader of yesterday still sends meets a conflict in the API server and an `epoch` that is too low in Redis.
 */
import type { EngineSettings } from "@pricing-engine/contracts";
import { type GuardedRedis, pushSettings, type SettingsDocument, settingsKey } from "@pricing-engine/redis";
import { z } from "zod";
import { metadataOf, type ObjectContext } from "../../core/objects/naming.ts";
import { settingsName } from "../../core/objects/pod.ts";
import type { Kube } from "../../kube/client.ts";
import { resourceTypes } from "../../kube/resource-types.ts";
import type { KubeObject } from "../../kube/types.ts";
import type { ObjectCache } from "./object-cache.ts";

export const settingsFile = "settings.json";
const headSchema = z.object({ epoch: z.int().nonnegative() });

export interface SettingsConfigMapDeps {
  readonly kube: Pick<Kube, "find" | "create" | "replace">;
  readonly cache: Pick<ObjectCache, "find">;
  readonly redis: GuardedRedis;
  readonly prefix: string;
  context(): Pick<ObjectContext, "resource" | "uid">;
}

interface Term {
  readonly epoch: number;
  revision: number;
  /** Of the ConfigMap; undefined: there is none. */
  version: string | undefined;
  hash: string | undefined;
  document: SettingsDocument<EngineSettings> | undefined;
}

/** Returns what writes the settings where they are to be; repeats are free. */
export function makeSettingsConfigMap(
  deps: SettingsConfigMapDeps,
): (settings: EngineSettings, hash: string) => Promise<void> {
  const { cache, kube, prefix, redis } = deps;
  let term: Term | undefined;

  async function begin(): Promise<Term> {
    const { name, namespace } = place();
    const found = await kube.find(resourceTypes.configMaps, name, namespace);
    const inMap = epochOf((found?.data as Record<string, string> | undefined)?.[settingsFile]);
    // Without Redis the ConfigMap's term has to do: should Redis know a later one, that comes out with the first push.
    const inRedis = await redis.guarded((client) => client.get(settingsKey(prefix))).catch(() => null);
    const epoch = Math.max(inMap, epochOf(inRedis)) + 1;
    return { epoch, revision: 0, version: found?.metadata.resourceVersion, hash: undefined, document: undefined };
  }

  function place(): { name: string; namespace: string } {
    const { name, namespace } = deps.context().resource.metadata;
    return { name: settingsName(name), namespace };
  }

  async function store(current: Term, document: SettingsDocument<EngineSettings>): Promise<void> {
    const { name } = place();
    const metadata = metadataOf(deps.context(), name);
    const object: KubeObject = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { ...metadata, ...(current.version === undefined ? {} : { resourceVersion: current.version }) },
      data: { [settingsFile]: JSON.stringify(document) },
    };
    const written =
      current.version === undefined
        ? await kube.create(resourceTypes.configMaps, object)
        : await kube.replace(resourceTypes.configMaps, object);
    current.version = written.metadata.resourceVersion;
  }

  return async (settings, hash) => {
    term ??= await begin();
    const current = term;
    try {
      const { name, namespace } = place();
      const isGone = current.hash !== undefined && cache.find(resourceTypes.configMaps, namespace, name) === undefined;
      if (hash !== current.hash || isGone) {
        if (isGone && (await kube.find(resourceTypes.configMaps, name, namespace)) === undefined)
          current.version = undefined;
        const document = { epoch: current.epoch, revision: current.revision + 1, settings };
        await store(current, document);
        Object.assign(current, { revision: document.revision, document, hash });
      }
    } catch (error) {
      // Somebody edited it, or another leader writes: look again before anything is claimed.
      term = undefined;
      throw error;
    }
    if (current.document === undefined) return;
    if ((await pushSettings(redis, prefix, current.document)) === "stale") {
      term = undefined;
      throw new Error("Redis has live settings of a later term: another operator wrote them");
    }
  };
}

function epochOf(text: string | null | undefined): number {
  if (text === null || text === undefined) return 0;
  try {
    const head = headSchema.safeParse(JSON.parse(text));
    return head.success ? head.data.epoch : 0;
  } catch {
    return 0;
  }
}
