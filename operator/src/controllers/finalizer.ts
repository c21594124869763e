/**
 * The end of an engine with `deletionPolicy: Delete`: its workloads first, so that nobody writes any more, then topics, tables and
 * keys, then the finalizer. Everything of it may be repeated. Without the policy there is no finalizer: objects go by their owner
 * reference, and the data stays.
 */
import type { Logger } from "@pricing-engine/chassis/log";
import { makeEngineServers } from "../adapters/engine-servers.ts";
import type { KafkaAdmins } from "../adapters/kafka-admins.ts";
import { parseObject } from "../api/parse.ts";
import type { PricingEngine } from "../api/resource.ts";
import type { Kube } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import { resourceTypes } from "../kube/resource-types.ts";
import type { KubeObject } from "../kube/types.ts";
import { readEngineSecrets } from "../runtime/kubernetes/engine-secrets.ts";
import type { ObjectCache } from "../runtime/kubernetes/object-cache.ts";

export const finalizer = "pricing-engine.dev/delete-data";

export interface FinalizerDeps {
  readonly kube: Kube;
  readonly cache: Pick<ObjectCache, "ofEngine">;
  readonly admins: KafkaAdmins;
  readonly recorder: EventRecorder;
  readonly logger: Logger;
}

const workloadTypes = [resourceTypes.deployments, resourceTypes.jobs];

function asksForDeletion({ spec }: KubeObject): boolean {
  return (spec as { deletionPolicy?: string } | undefined)?.deletionPolicy === "Delete";
}

/** Adds or removes the finalizer as the policy says. Not for an object that is being deleted. */
export async function ensureFinalizer(kube: Pick<Kube, "mergePatch">, object: KubeObject): Promise<void> {
  const { finalizers = [] } = object.metadata;
  if (asksForDeletion(object) === finalizers.includes(finalizer)) return;
  const others = finalizers.filter((name) => name !== finalizer);
  await patchFinalizers(kube, object, asksForDeletion(object) ? [...others, finalizer] : others);
}

async function patchFinalizers(
  kube: Pick<Kube, "mergePatch">,
  { metadata }: KubeObject,
  finalizers: readonly string[],
): Promise<void> {
  const { name, namespace, resourceVersion } = metadata;
  await kube.mergePatch(resourceTypes.pricingEngines, name, namespace, { metadata: { finalizers, resourceVersion } });
}

/** Returns whether it is done; otherwise it is called again. */
export async function finalize(deps: FinalizerDeps, object: KubeObject): Promise<boolean> {
  const { cache, kube, logger, recorder } = deps;
  const { finalizers = [], name, namespace = "default", uid = "" } = object.metadata;
  if (!finalizers.includes(finalizer)) return true;
  if (asksForDeletion(object)) {
    const engine = { namespace, name };
    const left = workloadTypes.flatMap((type) =>
      cache.ofEngine(type, engine).map(({ metadata }) => ({ type, metadata })),
    );
    for (const { metadata, type } of left) {
      if (metadata.deletionTimestamp === undefined) await kube.delete(type, metadata.name, namespace);
    }
    // Pods that still write would make topics and rows again.
    if (left.length + cache.ofEngine(resourceTypes.pods, engine).length > 0) return false;
    try {
      await purge(deps, object, { namespace, name, uid });
    } catch (error) {
      const note = `data is not deleted yet (deletionPolicy: Retain leaves it and lets the resource go): ${String(error)}`;
      recorder.record(object, { type: "Warning", reason: "DeletionWaits", note });
      throw error;
    }
    recorder.record(object, { type: "Normal", reason: "DataDeleted", note: "topics, tables and keys are deleted" });
    logger.info({ engine: `${namespace}/${name}` }, "topics, tables and keys are deleted");
  }
  await patchFinalizers(
    kube,
    object,
    finalizers.filter((one) => one !== finalizer),
  );
  return true;
}

async function purge(
  { admins, kube, logger, recorder }: FinalizerDeps,
  object: KubeObject,
  engine: { namespace: string; name: string; uid: string },
): Promise<void> {
  const parsed = parseObject(object);
  const secrets = parsed.ok
    ? await readEngineSecrets(kube, { resource: serversOnly(parsed.resource), uid: engine.uid }, "left-alone")
    : undefined;
  if (!parsed.ok || secrets?.kind !== "present") {
    // With its namespace the Secrets may have gone before it. Waiting for them would keep both for ever.
    const note = "data stays: the Secrets with its addresses are gone";
    recorder.record(object, { type: "Warning", reason: "DataKept", note });
    logger.warn({ engine }, note);
    return;
  }
  const servers = makeEngineServers({
    namespace: engine.namespace,
    name: engine.name,
    kafka: secrets.kafka,
    admins,
    postgresUrl: secrets.postgresUrl,
    redisUrl: secrets.redisUrl,
    logger,
  });
  try {
    await servers.purge();
  } finally {
    await servers.close();
  }
}

/** Other Secrets, such as a processor's token, may be gone: deleting needs addresses alone. */
function serversOnly({ metadata, spec, ...rest }: PricingEngine): PricingEngine {
  const { gateway: _1, pricing: _2, ingest: _3, payment: _4, orders: _5, ...servers } = spec;
  return { ...rest, metadata, spec: servers };
}
