/** The Kubernetes runtime: what an engine needs as objects of the API server, and its servers from here. */
import { createHash } from "node:crypto";
import type { Logger } from "@pricing-engine/chassis/log";
import type { Policy } from "@pricing-engine/contracts";
import { checkPolicy, type PolicyVerdict } from "../../adapters/check-policy.ts";
import { type EngineServers, makeEngineServers } from "../../adapters/engine-servers.ts";
import type { KafkaAdmins } from "../../adapters/kafka-admins.ts";
import { probeProcessor } from "../../adapters/probe-processor.ts";
import { readSources } from "../../adapters/read-sources.ts";
import type { PricingEngine } from "../../api/resource.ts";
import { makeDeployment } from "../../core/objects/deployment.ts";
import { type Manifest, podHashAnnotation, ports } from "../../core/objects/manifest.ts";
import { deploymentName, type ObjectContext } from "../../core/objects/naming.ts";
import { makeServiceAccount, makeSharedObjects } from "../../core/objects/shared-objects.ts";
import type { EnvValue, Role, Workload } from "../../core/plan.ts";
import type { Kube } from "../../kube/client.ts";
import { deniedReason, deniedRetryMs } from "../../kube/kube-error.ts";
import { resourceTypes } from "../../kube/resource-types.ts";
import type { KubeObject, ResourceType } from "../../kube/types.ts";
import type { Runtime } from "../runtime.ts";
import { makeApplier } from "./applier.ts";
import type { EngineSecrets } from "./engine-secrets.ts";
import { findForeignAutoscaler } from "./foreign-autoscaler.ts";
import { migrateByJob } from "./migrations.ts";
import type { ObjectCache } from "./object-cache.ts";
import { replicaOf } from "./pods.ts";
import { makeSettingsConfigMap } from "./settings-config-map.ts";

export type PresentSecrets = Extract<EngineSecrets, { kind: "present" }>;

export interface KubernetesRuntimeOptions {
  readonly kube: Kube;
  readonly cache: ObjectCache;
  readonly admins: KafkaAdmins;
  readonly resource: PricingEngine;
  readonly uid: string;
  readonly secrets: PresentSecrets;
  readonly images: ObjectContext["images"];
  readonly operatorNamespace: string;
  readonly logger: Logger;
  /** Told of each object that somebody else had changed or deleted. */
  onRepair(what: string): void;
}

export interface KubernetesRuntime extends Runtime {
  /** The newest resource and Secrets: objects are made from them from now on. */
  use(resource: PricingEngine, secrets: PresentSecrets): void;
  checkPolicy(policy: Policy): Promise<PolicyVerdict>;
  readonly servers: EngineServers;
  /** Closes connections; what runs goes on. */
  close(): Promise<void>;
}

interface MadeDeployment {
  readonly workload: Workload;
  readonly manifest: Manifest;
  /** Its number is the plan's. */
  readonly isFixed: boolean;
}

/** An engine's objects, and what they were made from. */
interface Made {
  readonly workloads: readonly Workload[];
  readonly resource: PricingEngine;
  readonly secrets: PresentSecrets;
  readonly shared: readonly Manifest[];
  readonly deployments: readonly MadeDeployment[];
  /** `<kind>/<name>` of each. */
  readonly names: ReadonlySet<string>;
}

/** Kinds of which an engine's objects are deleted when its resource no longer asks for them. */
const prunedTypes = [
  resourceTypes.deployments,
  resourceTypes.services,
  resourceTypes.podDisruptionBudgets,
  resourceTypes.networkPolicies,
  resourceTypes.horizontalPodAutoscalers,
  resourceTypes.ingresses,
];

export function makeKubernetesRuntime(options: KubernetesRuntimeOptions): KubernetesRuntime {
  const { cache, kube, logger, uid } = options;
  const { name, namespace } = options.resource.metadata;
  const engine = { namespace, name };
  let { resource, secrets } = options;
  const context = (): ObjectContext => ({
    resource,
    uid,
    images: options.images,
    operatorNamespace: options.operatorNamespace,
    secretsHash: secrets.hash,
    hash: (text) => createHash("sha256").update(text).digest("hex"),
  });
  const servers = makeEngineServers({
    namespace,
    name,
    kafka: secrets.kafka,
    admins: options.admins,
    postgresUrl: secrets.postgresUrl,
    redisUrl: secrets.redisUrl,
    logger,
  });
  const applier = makeApplier({ kube, cache, nowMs: () => performance.now() });
  const writeSettings = makeSettingsConfigMap({
    kube,
    cache,
    redis: servers.redis,
    prefix: `${namespace}.${name}.`,
    context,
    onRepair: options.onRepair,
  });
  const urlOf = (role: Role): string =>
    `http://${deploymentName({ resource }, role)}.${namespace}.svc:${String(ports.http)}`;
  const findDeployment = (role: Role): KubeObject | undefined =>
    cache.find(resourceTypes.deployments, namespace, deploymentName({ resource }, role));

  function resolve(value: EnvValue | undefined): string | undefined {
    if (value?.from === "value") return value.value;
    if (value?.from === "secret") return secrets.get(value.secret, value.key);
    return undefined;
  }

  let made: Made | undefined;

  /** Passes are many, and changes few. */
  function objectsOf(workloads: readonly Workload[]): Made {
    if (made?.workloads === workloads && made.resource === resource && made.secrets === secrets) return made;
    const current = context();
    const shared = makeSharedObjects(current, workloads);
    const deployments = workloads.map((workload) => {
      // Where something else says how many, it goes on saying so.
      const isFixed = workload.scale === undefined && workload.role !== "gateway";
      const manifest = makeDeployment(current, workload, isFixed ? workload.replicas : undefined);
      return { workload, isFixed, manifest };
    });
    const manifests = [...shared, ...deployments.map(({ manifest }) => manifest)];
    const names = new Set(manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`));
    made = { workloads, resource, secrets, shared, deployments, names };
    return made;
  }

  async function applyDeployment({ isFixed, manifest, workload }: MadeDeployment): Promise<void> {
    const applied = await applier.apply(manifest);
    if (applied === undefined) return;
    const { object, why } = applied;
    if (why === "drifted") options.onRepair(`Deployment ${object.metadata.name}`);
    // Made without a number, there is one: the first number is written as every later one.
    const isNew = object.metadata.generation === 1;
    if (!isFixed && isNew && workload.replicas !== 1) await writeReplicas(workload.role, workload.replicas);
  }

  /** False when somebody else wrote meanwhile. */
  async function writeReplicas(role: Role, replicas: number): Promise<boolean> {
    const target = deploymentName({ resource }, role);
    const scale = await kube.readScale(target, namespace);
    if (scale === undefined) return false;
    if (scale.replicas === replicas) return true;
    const { resourceVersion } = scale;
    return (await kube.writeScale(target, namespace, { replicas, resourceVersion })) === "written";
  }

  /** HTTPRoutes are not watched, since their kind may not exist: one that an earlier resource asked for is looked for by name, once. */
  let mayHaveRoute = true;
  /** Told by the API server: not asked again until a person may have given the right. */
  let scaleDenied: { readonly message: string; readonly untilMs: number } | undefined;

  function findOtherScaler(role: Role): string | undefined {
    if (scaleDenied !== undefined && performance.now() < scaleDenied.untilMs) return scaleDenied.message;
    const target = deploymentName({ resource }, role);
    const foreign = findForeignAutoscaler(cache.inNamespace(resourceTypes.horizontalPodAutoscalers, namespace), target);
    return foreign && `HorizontalPodAutoscaler ${foreign} scales ${target}: delete one of the two`;
  }

  async function prune(wanted: ReadonlySet<string>): Promise<void> {
    for (const type of prunedTypes) {
      for (const object of cache.ofEngine(type, engine)) await deleteUnwanted(type, object, wanted);
    }
    const route = deploymentName({ resource }, "gateway");
    if (wanted.has(`HTTPRoute/${route}`)) mayHaveRoute = true;
    else if (mayHaveRoute) {
      const left = await kube.find(resourceTypes.httpRoutes, route, namespace);
      if (left !== undefined) await deleteUnwanted(resourceTypes.httpRoutes, left, wanted);
      mayHaveRoute = false;
    }
  }

  async function deleteUnwanted(type: ResourceType, object: KubeObject, wanted: ReadonlySet<string>): Promise<void> {
    const { kind, metadata } = object;
    const isOurs = metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
    if (!isOurs || metadata.deletionTimestamp !== undefined || wanted.has(`${kind}/${metadata.name}`)) return;
    logger.info({ kind, name: metadata.name }, "no longer asked for: deleted");
    await kube.delete(type, metadata.name, namespace, metadata.uid === undefined ? {} : { uid: metadata.uid });
  }

  return {
    servers,
    use(newest, present) {
      resource = newest;
      secrets = present;
    },
    ensureTopics: (topics) => servers.ensureTopics(topics),
    pruneTopics: (topics) => servers.pruneTopics(topics),
    claimDatabase: () => servers.claimDatabase(),
    async migrate(service) {
      await applier.apply(makeServiceAccount(context()));
      await migrateByJob({ kube, cache }, context(), service);
    },
    ensurePartitions: (plans) => servers.ensurePartitions(plans),
    applySettings: (settings, hash) => writeSettings(settings, hash),
    async applyWorkloads(workloads) {
      const { deployments, names, shared } = objectsOf(workloads);
      for (const manifest of shared) {
        const applied = await applier.apply(manifest);
        if (applied?.why === "drifted") options.onRepair(`${manifest.kind} ${manifest.metadata.name}`);
      }
      for (const deployment of deployments) await applyDeployment(deployment);
      await prune(names);
    },
    replicas() {
      const hashes = new Map(
        cache
          .ofEngine(resourceTypes.deployments, engine)
          .map((deployment) => [deployment.metadata.labels?.["app.kubernetes.io/component"], findPodHash(deployment)]),
      );
      return cache
        .ofEngine(resourceTypes.pods, engine)
        .filter(({ metadata }) => hashes.has(metadata.labels?.["app.kubernetes.io/component"]))
        .map((pod) => replicaOf(pod, hashes.get(pod.metadata.labels?.["app.kubernetes.io/component"])));
    },
    readSources: () => readSources(urlOf("ingest-api")),
    lookAtGroup: (group) => servers.lookAtGroup(group),
    countWaiting: (role, settings) => servers.countWaiting(role, settings),
    countForReview: () => servers.countForReview(),
    async currentReplicas(role) {
      return (findDeployment(role)?.spec as { replicas?: number } | undefined)?.replicas;
    },
    async scale(role, replicas) {
      const refusal = findOtherScaler(role);
      if (refusal !== undefined) return { kind: "refused", reason: refusal };
      const written = await writeReplicas(role, replicas).catch((error: unknown) => {
        if (deniedReason(error) === undefined) throw error;
        return error as Error;
      });
      if (written instanceof Error) {
        scaleDenied = { message: written.message, untilMs: performance.now() + deniedRetryMs };
        return { kind: "refused", reason: written.message };
      }
      if (!written) {
        throw new Error(`${deploymentName({ resource }, role)} was changed by somebody else meanwhile`);
      }
      return { kind: "scaled" };
    },
    findOtherScaler,
    probeProcessor: ({ token, url }, signal) => probeProcessor(resolve(url) ?? "", resolve(token), signal),
    changed: (signal) => cache.changed(engine, signal),
    checkPolicy: (policy) => checkPolicy(urlOf("pricing-api"), policy),
    close: () => servers.close(),
  };
}

function findPodHash({ spec }: KubeObject): string | undefined {
  const { template } = (spec ?? {}) as {
    template?: { metadata?: { annotations?: Readonly<Record<string, string>> } };
  };
  return template?.metadata?.annotations?.[podHashAnnotation];
}
