import { type Manifest, ports } from "./manifest.ts";
import { engineLabels, metadataOf, type ObjectContext, selectorOf } from "./naming.ts";

/**
 * Into the gateway from anywhere; into the rest from pods of the same engine and from the operator, which asks how feeds and
 * policies are. Metrics from anywhere: they are Prometheus' to scrape. Out is open: brokers and databases are wherever Secrets say.
 */
export function makeNetworkPolicies(context: ObjectContext): readonly Manifest[] {
  const { name } = context.resource.metadata;
  const { "app.kubernetes.io/name": app, "app.kubernetes.io/instance": instance } = engineLabels(context);
  const own = { "app.kubernetes.io/name": app, "app.kubernetes.io/instance": instance };
  const policy = (suffix: string, podSelector: object, ingress: readonly object[]): Manifest => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: metadataOf(context, `${name}-${suffix}`),
    spec: { podSelector, policyTypes: ["Ingress"], ingress },
  });
  const operator = {
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": context.operatorNamespace } },
    podSelector: {
      matchLabels: { "app.kubernetes.io/part-of": "pricing-engine", "app.kubernetes.io/component": "operator" },
    },
  };
  return [
    policy("internal", { matchLabels: own }, [
      { from: [{ podSelector: { matchLabels: own } }, operator], ports: [{ port: ports.http, protocol: "TCP" }] },
      { ports: [{ port: ports.metrics, protocol: "TCP" }] },
    ]),
    ...(context.resource.spec.gateway === undefined
      ? []
      : [
          policy("gateway", { matchLabels: selectorOf(context, "gateway") }, [
            { ports: [{ port: ports.gateway, protocol: "TCP" }] },
          ]),
        ]),
  ];
}
