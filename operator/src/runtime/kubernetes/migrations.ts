/** Migrations as Jobs: one for each service and image, made once and waited for. */
import { makeMigrationJob } from "../../core/objects/migration-job.ts";
import type { ObjectContext } from "../../core/objects/naming.ts";
import type { ServiceName } from "../../core/plan.ts";
import type { Kube } from "../../kube/client.ts";
import { isAlreadyExists } from "../../kube/kube-error.ts";
import { resourceTypes } from "../../kube/resource-types.ts";
import type { KubeObject } from "../../kube/types.ts";
import { StillWaiting } from "../runtime.ts";
import type { ObjectCache } from "./object-cache.ts";

interface JobStatus {
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
}

/** @throws StillWaiting while it runs; an error that says what its pod said when it failed */
export async function migrateByJob(
  deps: { readonly kube: Pick<Kube, "find" | "create" | "delete">; readonly cache: ObjectCache },
  context: ObjectContext,
  service: ServiceName,
): Promise<void> {
  const { cache, kube } = deps;
  const wanted = makeMigrationJob(context, service);
  const { name, namespace } = wanted.metadata;
  const job = cache.find(resourceTypes.jobs, namespace, name) ?? (await kube.find(resourceTypes.jobs, name, namespace));
  if (job === undefined) {
    await kube.create(resourceTypes.jobs, wanted).catch((error: unknown) => {
      if (!isAlreadyExists(error)) throw error;
    });
    throw new StillWaiting("MigrationRuns", `Job ${name} was made`);
  }
  const { conditions = [] } = (job.status ?? {}) as JobStatus;
  const has = (type: string) => conditions.find((one) => one.type === type && one.status === "True");
  const pods = cache
    .ofEngine(resourceTypes.pods, { namespace, name: context.resource.metadata.name })
    .filter(({ metadata }) => metadata.labels?.["job-name"] === name);
  if (has("Complete") !== undefined) {
    await deleteFormer(deps, context, service, name);
    return;
  }
  const failed = has("Failed");
  const said = pods.map(lastWords).find((words) => words !== undefined);
  if (failed !== undefined) {
    // Made again by the next pass: what it failed of may have been repaired.
    await kube.delete(resourceTypes.jobs, name, namespace, {
      ...(job.metadata.uid === undefined ? {} : { uid: job.metadata.uid }),
    });
    throw new Error(`migrations of ${service} failed: ${said ?? failed.message ?? "no reason was given"}`);
  }
  throw new StillWaiting(
    "MigrationRuns",
    `Job ${name} runs${said === undefined ? "" : `; its last pod said: ${said}`}`,
  );
}

/** Jobs of images before this one. */
async function deleteFormer(
  { cache, kube }: { readonly kube: Pick<Kube, "delete">; readonly cache: ObjectCache },
  { resource }: ObjectContext,
  service: ServiceName,
  current: string,
): Promise<void> {
  const engine = resource.metadata;
  for (const { metadata } of cache.ofEngine(resourceTypes.jobs, engine)) {
    const isFormer =
      metadata.labels?.["app.kubernetes.io/component"] === `${service}-migrate` && metadata.name !== current;
    if (isFormer) await kube.delete(resourceTypes.jobs, metadata.name, engine.namespace);
  }
}

function lastWords({ status }: KubeObject): string | undefined {
  const { containerStatuses = [] } = (status ?? {}) as {
    containerStatuses?: readonly {
      state?: { terminated?: { message?: string; exitCode?: number }; waiting?: { reason?: string; message?: string } };
    }[];
  };
  const state = containerStatuses[0]?.state;
  if (state?.waiting?.reason !== undefined && state.waiting.reason !== "ContainerCreating") {
    return [state.waiting.reason, state.waiting.message].filter(Boolean).join(": ");
  }
  if (state?.terminated === undefined || state.terminated.exitCode === 0) return undefined;
  return state.terminated.message?.trim().split("\n").at(-1);
}
