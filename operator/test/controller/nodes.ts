/**
 * Stands where the Deployment controller, the Job controller and kubelets are in a cluster: makes pods of Deployments, says that
 * they are ready, and that Jobs have come to their end. Nothing runs in the pods.
 */
import { createHash } from "node:crypto";
import type { Kube } from "../../src/kube/client.ts";
import { type Informer, makeInformer } from "../../src/kube/informer.ts";
import { isAlreadyExists, isNotFound } from "../../src/kube/kube-error.ts";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import type { KubeObject, ResourceType } from "../../src/kube/types.ts";
import { makeWorkQueue } from "../../src/kube/work-queue.ts";
import { quiet } from "../kube/setup.ts";

export interface Nodes {
  /** Jobs go on for as long as they are held. */
  holdJobs(): void;
  releaseJobs(): void;
  close(): Promise<void>;
}

interface DeploymentSpec {
  readonly replicas: number;
  readonly template: { readonly metadata: { readonly labels: object; readonly annotations?: object }; spec: object };
}

const { deployments, jobs, pods } = resourceTypes;
const ownerLabel = "test/deployment";

/** For what is in the namespace. */
export async function startNodes(kube: Kube, namespace: string): Promise<Nodes> {
  let jobsAreHeld = false;
  const queue = makeWorkQueue<string>({
    name: "nodes",
    concurrency: 8,
    logger: quiet,
    async run(key) {
      const [kind, name = ""] = key.split("/");
      await (kind === "Job" ? endJob(name) : runPods(name)).catch((error: unknown) => {
        // Gone meanwhile: word of it is on its way.
        if (!isNotFound(error)) throw error;
      });
    },
  });
  const informerOf = (type: ResourceType, keyOf: (object: KubeObject) => string): Informer =>
    makeInformer({
      kube,
      type,
      namespace,
      logger: quiet,
      onChange: (_uid, object) => queue.add(keyOf(object)),
    });
  const known = {
    deployments: informerOf(deployments, ({ metadata }) => `Deployment/${metadata.name}`),
    pods: informerOf(pods, ({ metadata }) => `Deployment/${metadata.labels?.[ownerLabel] ?? ""}`),
    jobs: informerOf(jobs, ({ metadata }) => `Job/${metadata.name}`),
  };
  const find = (informer: Informer, name: string): KubeObject | undefined =>
    informer.list().find(({ metadata }) => metadata.name === name);

  async function runPods(name: string): Promise<void> {
    const deployment = find(known.deployments, name);
    const { replicas = 0, template } = (deployment?.spec ?? {}) as Partial<DeploymentSpec>;
    const version = createHash("sha256")
      .update(JSON.stringify(template ?? {}))
      .digest("hex")
      .slice(0, 8);
    const wanted = Array.from({ length: replicas }, (_, index) => `${name}-${version}-${index}`);
    const there = known.pods.list().filter(({ metadata }) => metadata.labels?.[ownerLabel] === name);
    for (const { metadata } of there) {
      if (!wanted.includes(metadata.name)) await kube.delete(pods, metadata.name, namespace);
    }
    if (deployment === undefined || template === undefined) return;
    for (const pod of wanted) {
      const found = there.find(({ metadata }) => metadata.name === pod);
      if (found === undefined) await makePod(pod, name, template);
      if (found === undefined || !isReady(found)) await say(pods, pod, readyStatus());
    }
    const { generation: observedGeneration } = deployment.metadata;
    const counts = { replicas, updatedReplicas: replicas, readyReplicas: replicas, availableReplicas: replicas };
    const said = (deployment.status ?? {}) as { observedGeneration?: number; readyReplicas?: number };
    if (said.observedGeneration === observedGeneration && (said.readyReplicas ?? 0) === replicas) return;
    await say(deployments, name, { observedGeneration, ...counts });
  }

  async function makePod(name: string, deployment: string, template: DeploymentSpec["template"]): Promise<void> {
    const { annotations = {}, labels } = template.metadata;
    const metadata = {
      name,
      namespace,
      annotations: { ...annotations },
      labels: { ...labels, [ownerLabel]: deployment },
    };
    await kube
      .create(pods, { apiVersion: "v1", kind: "Pod", metadata, spec: template.spec })
      .catch((error: unknown) => {
        if (!isAlreadyExists(error)) throw error;
      });
  }

  async function endJob(name: string): Promise<void> {
    const job = find(known.jobs, name);
    const { conditions = [] } = (job?.status ?? {}) as { conditions?: readonly object[] };
    if (job === undefined || conditions.length > 0 || jobsAreHeld) return;
    const now = new Date().toISOString();
    await say(jobs, name, {
      startTime: now,
      completionTime: now,
      succeeded: 1,
      conditions: ["SuccessCriteriaMet", "Complete"].map((type) => condition(type, now)),
    });
  }

  const say = (type: ResourceType, name: string, status: object): Promise<KubeObject> =>
    kube.mergePatch(type, name, namespace, { status }, { subresource: "status" });

  await Promise.all(Object.values(known).map((informer) => informer.synced()));
  return {
    holdJobs() {
      jobsAreHeld = true;
    },
    releaseJobs() {
      jobsAreHeld = false;
      for (const { metadata } of known.jobs.list()) queue.add(`Job/${metadata.name}`);
    },
    async close() {
      await queue.close();
      await Promise.all(Object.values(known).map((informer) => informer.close()));
    },
  };
}

const condition = (type: string, now: string) => ({
  type,
  status: "True",
  lastTransitionTime: now,
  lastProbeTime: now,
});

function readyStatus(): object {
  const now = new Date().toISOString();
  const conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map((type) => condition(type, now));
  return { phase: "Running", startTime: now, conditions };
}

function isReady({ status }: KubeObject): boolean {
  const { conditions = [] } = (status ?? {}) as { conditions?: readonly { type: string; status: string }[] };
  return conditions.some((one) => one.type === "Ready" && one.status === "True");
}
