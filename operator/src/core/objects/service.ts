import type { Workload } from "../plan.ts";
import { type Manifest, ports } from "./manifest.ts";
import { deploymentName, metadataOf, type ObjectContext, selectorOf } from "./naming.ts";

export function portOf({ exposure }: Pick<Workload, "exposure">): number {
  return exposure === "public" ? ports.gateway : ports.http;
}

export function makeService(context: ObjectContext, workload: Workload): Manifest {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: metadataOf(context, deploymentName(context, workload.role), workload.role),
    spec: {
      type: "ClusterIP",
      selector: selectorOf(context, workload.role),
      ports: [{ name: "http", port: portOf(workload), targetPort: "http", protocol: "TCP" }],
    },
  };
}
