import type { KubeObject } from "../../kube/types.ts";

/** Name of an autoscaler that aims at the Deployment. None of ours aims at workers. Pure. */
export function findForeignAutoscaler(autoscalers: readonly KubeObject[], deployment: string): string | undefined {
  const foreign = autoscalers.find(({ spec }) => {
    const { scaleTargetRef } = (spec ?? {}) as { scaleTargetRef?: { kind?: string; name?: string } };
    return scaleTargetRef?.kind === "Deployment" && scaleTargetRef.name === deployment;
  });
  return foreign?.metadata.name;
}
