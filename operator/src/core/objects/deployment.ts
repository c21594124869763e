import type { PricingEngine } from "../../api/resource.ts";
import type { OrderStage } from "../order-stages.ts";
import type { Role, Workload } from "../plan.ts";
import { type Manifest, podHashAnnotation, ports } from "./manifest.ts";
import { deploymentName, engineLabels, metadataOf, type ObjectContext, selectorOf } from "./naming.ts";
import { makePodSpec } from "./pod.ts";
import { portOf } from "./service.ts";

type Resources = NonNullable<NonNullable<PricingEngine["spec"]["gateway"]>["resources"]>;

const shutdownGraceMs = 20_000;
/** Until every proxy and load balancer has heard that the pod takes no new requests. */
const drainSeconds = 5;
/** For requests that clients send on kept connections until an answer has told them to open new ones. */
const lingerMs = 3_000;
const defaultResources = { requests: { cpu: "50m", memory: "96Mi" }, limits: { memory: "512Mi" } };

/**
 * @param replicas left out where something else scales the Deployment: server-side apply then leaves the number alone
 */
export function makeDeployment(context: ObjectContext, workload: Workload, replicas: number | undefined): Manifest {
  const { role } = workload;
  const selector = selectorOf(context, role);
  const podSpec = makeRolePod(context, workload);
  const podHash = context.hash(JSON.stringify([podSpec, workload.podHash, context.secretsHash])).slice(0, 16);
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadataOf(context, deploymentName(context, role), role),
    spec: {
      ...(replicas === undefined ? {} : { replicas }),
      revisionHistoryLimit: 3,
      progressDeadlineSeconds: 300,
      selector: { matchLabels: selector },
      // A new pod is ready before an old one goes.
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: {
          labels: { ...engineLabels(context), ...selector },
          annotations: { [podHashAnnotation]: podHash },
        },
        spec: podSpec,
      },
    },
  };
}

function makeRolePod(context: ObjectContext, workload: Workload): object {
  const { exposure, role } = workload;
  const serves = exposure !== "none";
  return makePodSpec(context, {
    service: workload.service,
    argument: workload.argument,
    env: workload.env,
    extraEnv: [
      { name: "HTTP_HOST", value: "0.0.0.0" },
      ...(serves
        ? [
            { name: "HTTP_PORT", value: String(portOf(workload)) },
            { name: "HTTP_LINGER_MS", value: String(lingerMs) },
          ]
        : []),
      { name: "METRICS_PORT", value: String(ports.metrics) },
      { name: "SHUTDOWN_GRACE_MS", value: String(shutdownGraceMs) },
    ],
    container: {
      ports: [
        ...(serves ? [{ name: "http", containerPort: portOf(workload), protocol: "TCP" }] : []),
        { name: "metrics", containerPort: ports.metrics, protocol: "TCP" },
      ],
      startupProbe: probe("/livez", { periodSeconds: 1, failureThreshold: 120 }),
      livenessProbe: probe("/livez", { periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 }),
      readinessProbe: probe("/readyz", { periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2 }),
      resources: withRequests(resourcesOf(context.resource, role)),
      ...(serves ? { lifecycle: { preStop: { sleep: { seconds: drainSeconds } } } } : {}),
    },
    pod: {
      terminationGracePeriodSeconds: shutdownGraceMs / 1000 + (serves ? drainSeconds : 0) + 5,
      // Off a lost node after half a minute instead of five.
      tolerations: ["not-ready", "unreachable"].map((state) => ({
        key: `node.kubernetes.io/${state}`,
        operator: "Exists",
        effect: "NoExecute",
        tolerationSeconds: 30,
      })),
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: "kubernetes.io/hostname",
          whenUnsatisfiable: "ScheduleAnyway",
          labelSelector: { matchLabels: selectorOf(context, role) },
        },
      ],
    },
  });
}

/** What a pod asks for is never left open where no limit says it: the gateway's autoscaler reckons with it. */
function withRequests(own: Resources | undefined): object {
  if (own === undefined) return defaultResources;
  const open = Object.entries(defaultResources.requests).filter(([name]) => own.limits?.[name] === undefined);
  return { ...own, requests: { ...Object.fromEntries(open), ...own.requests } };
}

function probe(path: string, timing: object): object {
  return { httpGet: { path, port: "metrics" }, ...timing };
}

function resourcesOf({ spec }: PricingEngine, role: Role): Resources | undefined {
  switch (role) {
    case "gateway":
      return spec.gateway?.resources;
    case "pricing-worker":
      return spec.pricing?.workers.resources;
    case "ingest-worker":
      return spec.ingest?.workers.resources;
    case "payment-worker":
      return spec.payment?.workers.resources;
    case "orders-inventory":
    case "orders-payment":
    case "orders-fulfillment":
    case "orders-notification":
      return spec.orders?.stages[role.slice("orders-".length) as OrderStage].workers.resources;
    default:
      return undefined;
  }
}
