/** What an engine is on Kubernetes beside its Deployments and Jobs: changes with the resource alone. Pure. */
import type { Workload } from "../plan.ts";
import { makeAutoscaler, makeExposure } from "./gateway-exposure.ts";
import type { Manifest } from "./manifest.ts";
import { deploymentName, metadataOf, type ObjectContext, selectorOf } from "./naming.ts";
import { makeNetworkPolicies } from "./network-policies.ts";
import { makeService } from "./service.ts";

export function makeSharedObjects(context: ObjectContext, workloads: readonly Workload[]): readonly Manifest[] {
  const autoscaler = makeAutoscaler(context);
  return [
    makeServiceAccount(context),
    ...makeNetworkPolicies(context),
    ...workloads.flatMap((workload) => (workload.exposure === "none" ? [] : [makeService(context, workload)])),
    ...workloads.map((workload) => makeDisruptionBudget(context, workload.role)),
    ...(autoscaler === undefined ? [] : [autoscaler]),
    ...makeExposure(context),
  ];
}

/** Pods of Jobs and Deployments run as it: it has to be there first. */
export function makeServiceAccount(context: ObjectContext): Manifest {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: metadataOf(context, context.resource.metadata.name),
    // No process of an engine speaks to the API server.
    automountServiceAccountToken: false,
  };
}

function makeDisruptionBudget(context: ObjectContext, role: string): Manifest {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: metadataOf(context, deploymentName(context, role), role),
    spec: { maxUnavailable: 1, selector: { matchLabels: selectorOf(context, role) } },
  };
}
