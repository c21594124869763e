import type { KubeObject, ResourceType } from "./types.ts";

const namespaced = (apiVersion: string, kind: string, plural: string): ResourceType => ({
  apiVersion,
  kind,
  plural,
  namespaced: true,
});

/** The kinds that the operator reads or writes. */
export const resourceTypes = {
  pricingEngines: namespaced("pricing-engine.dev/v1alpha1", "PricingEngine", "pricingengines"),
  deployments: namespaced("apps/v1", "Deployment", "deployments"),
  services: namespaced("v1", "Service", "services"),
  configMaps: namespaced("v1", "ConfigMap", "configmaps"),
  secrets: namespaced("v1", "Secret", "secrets"),
  serviceAccounts: namespaced("v1", "ServiceAccount", "serviceaccounts"),
  jobs: namespaced("batch/v1", "Job", "jobs"),
  pods: namespaced("v1", "Pod", "pods"),
  podDisruptionBudgets: namespaced("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
  networkPolicies: namespaced("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
  horizontalPodAutoscalers: namespaced("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
  httpRoutes: namespaced("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes"),
  ingresses: namespaced("networking.k8s.io/v1", "Ingress", "ingresses"),
  events: namespaced("events.k8s.io/v1", "Event", "events"),
  leases: namespaced("coordination.k8s.io/v1", "Lease", "leases"),
} as const satisfies Readonly<Record<string, ResourceType>>;

const byKind = new Map<string, ResourceType>(
  Object.values(resourceTypes).map((type) => [`${type.apiVersion} ${type.kind}`, type]),
);

/** @throws TypeError for a kind that the operator has nothing to do with */
export function resourceTypeOf({ apiVersion, kind }: Pick<KubeObject, "apiVersion" | "kind">): ResourceType {
  const type = byKind.get(`${apiVersion} ${kind}`);
  if (type === undefined) throw new TypeError(`no resource type is known for ${apiVersion} ${kind}`);
  return type;
}
