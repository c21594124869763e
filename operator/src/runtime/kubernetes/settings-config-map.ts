/**
 * Live settings in a ConfigMap, for pods that start, and in Redis, for those that run: one document with its writer's term. A term
 * begins by reading both and going one above them; the ConfigMap is written over the version that was read alone. So what a
 * leader of yesterday still sends meets a conflict in the API server and an `epoch` that is too low in Redis.
 */
import type { EngineSettings } from "@pricing-engine/contracts";
import { type GuardedRedis, pushSettings, type SettingsDocument, settingsKey } from "@pricing-engine/redis";
import { z } from "zod";
import { managedBy } from "../../core/objects/manifest.ts";
import { managedByLabel, metadataOf, type ObjectContext } from "../../core/objects/naming.ts";
import { settingsName } from "../../core/objects/pod.ts";
import type { Kube } from "../../kube/client.ts";
import { resourceTypes } from "../../kube/resource-types.ts";
import type { KubeObject } from "../../kube/types.ts";
import type { SettingsHash } from "../runtime.ts";
import type { ObjectCache } from "./object-cache.ts";
import { refuseTaken } from "./refuse-taken.ts";

export const settingsFile = "settings.json";
const headSchema = z.object({ epoch: z.int().nonnegative() });

export interface SettingsConfigMapDeps {
  readonly kube: Pick<Kube, "find" | "create" | "replace">;
  readonly cache: Pick<ObjectCache, "find">;
  readonly redis: GuardedRedis;
  readonly prefix: string;
  context(): Pick<ObjectContext, "resource" | "uid">;
  /** Told of the ConfigMap that somebody else had changed or deleted. */
  onRepair(what: string): void;
}

interface Term {
  readonly epoch: number;
  revision: number;
  /** Of the ConfigMap; undefined: there is none. */
  version: string | undefined;
  hash: Partial<SettingsHash>;
  document: SettingsDocument<EngineSettings> | undefined;
  /** What the ConfigMap holds since our last write. */
  text: string | undefined;
}

/** Returns what writes the settings where they are to be; repeats are free. */
export function makeSettingsConfigMap(
  deps: SettingsConfigMapDeps,
): (settings: EngineSettings, hash: SettingsHash) => Promise<void> {
  const { cache, kube, prefix, redis } = deps;
  let term: Term | undefined;

  function place(): { name: string; namespace: string } {
    const { name, namespace } = deps.context().resource.metadata;
    return { name: settingsName(name), namespace };
  }

  async function begin(): Promise<Term> {
    const { name, namespace } = place();
    const found = await kube.find(resourceTypes.configMaps, name, namespace);
    refuseTaken({ kind: "ConfigMap", metadata: metadataOf(deps.context(), name) }, found);
    // Without Redis the ConfigMap's term has to do: should Redis know a later one, that comes out with the first push.
    const inRedis = await redis.guarded((client) => client.get(settingsKey(prefix))).catch(() => null);
    const epoch = Math.max(epochOf(found && textOf(found)), epochOf(inRedis)) + 1;
    const version = found?.metadata.resourceVersion;
    return { epoch, revision: 0, version, hash: {}, document: undefined, text: undefined };
  }

  /** Whether somebody edited or deleted the ConfigMap. The cache may be late: what it says is looked at. */
  async function isDrifted({ text }: Term): Promise<boolean> {
    if (text === undefined) return false;
    const { name, namespace } = place();
    const isAsWritten = (object: KubeObject | undefined): boolean =>
      object !== undefined && textOf(object) === text && object.metadata.labels?.[managedByLabel] === managedBy;
    if (isAsWritten(cache.find(resourceTypes.configMaps, namespace, name))) return false;
    return !isAsWritten(await kube.find(resourceTypes.configMaps, name, namespace));
  }

  async function store(current: Term): Promise<void> {
    const metadata = metadataOf(deps.context(), place().name);
    const text = JSON.stringify(current.document);
    const object: KubeObject = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { ...metadata, ...(current.version === undefined ? {} : { resourceVersion: current.version }) },
      data: { [settingsFile]: text },
    };
    const written =
      current.version === undefined
        ? await kube.create(resourceTypes.configMaps, object)
        : await kube.replace(resourceTypes.configMaps, object);
    Object.assign(current, { version: written.metadata.resourceVersion, text });
  }

  return async (settings, hash) => {
    // What stands there may name any term: ours begins anew, above it.
    const drifted = term !== undefined && (await isDrifted(term));
    if (drifted) term = undefined;
    term ??= await begin();
    const current = term;
    try {
      if (hash.whole !== current.hash.whole) {
        current.revision++;
        current.document = { epoch: current.epoch, revision: current.revision, renewal: 0, settings };
      } else if (hash.advice !== current.hash.advice && current.document !== undefined) {
        current.document = { ...current.document, renewal: (current.document.renewal ?? 0) + 1, settings };
      }
      // Verdicts are out of date sooner than a process has started.
      if (hash.lasting !== current.hash.lasting) await store(current);
      current.hash = hash;
    } catch (error) {
      // Somebody edited it, or another leader writes: look again before anything is claimed.
      term = undefined;
      throw error;
    }
    if (drifted) deps.onRepair(`ConfigMap ${place().name}`);
    if (current.document === undefined) return;
    if ((await pushSettings(redis, prefix, current.document)) === "stale") {
      term = undefined;
      throw new Error("Redis has live settings of a later term: another operator wrote them");
    }
  };
}

function textOf({ data }: KubeObject): string | undefined {
  return (data as Readonly<Record<string, string>> | undefined)?.[settingsFile];
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
