import { type Manifest, ports } from "./manifest.ts";
import { deploymentName, metadataOf, type ObjectContext } from "./naming.ts";

/** By CPU: a gateway has no backlog that could be measured. */
export function makeAutoscaler(context: ObjectContext): Manifest | undefined {
  const { gateway } = context.resource.spec;
  if (gateway === undefined) return undefined;
  const name = deploymentName(context, "gateway");
  const { cpu, max, min } = gateway.replicas;
  return {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: metadataOf(context, name, "gateway"),
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name },
      minReplicas: min,
      maxReplicas: max,
      metrics: [
        { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: cpu } } },
      ],
    },
  };
}

/** The HTTPRoute or Ingress of the resource; where it does not say what is behind it, the gateway is. */
export function makeExposure(context: ObjectContext): readonly Manifest[] {
  const { gateway } = context.resource.spec;
  const name = deploymentName(context, "gateway");
  const metadata = metadataOf(context, name, "gateway");
  if (gateway?.httpRoute !== undefined) {
    const rules = [{ backendRefs: [{ name, port: ports.gateway }] }];
    return [
      {
        apiVersion: "gateway.networking.k8s.io/v1",
        kind: "HTTPRoute",
        metadata,
        spec: { rules, ...gateway.httpRoute },
      },
    ];
  }
  if (gateway?.ingress !== undefined) {
    const backend = { service: { name, port: { number: ports.gateway } } };
    const fallback = "rules" in gateway.ingress ? {} : { defaultBackend: backend };
    return [
      {
        apiVersion: "networking.k8s.io/v1",
        kind: "Ingress",
        metadata,
        spec: { ...fallback, ...gateway.ingress },
      },
    ];
  }
  return [];
}
