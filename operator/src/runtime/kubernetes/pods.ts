/** Pods as copies of a role. Pure. */
import { podHashAnnotation } from "../../core/objects/manifest.ts";
import type { KubeObject } from "../../kube/types.ts";
import type { ReplicaOfRole } from "../runtime.ts";

interface ContainerStatus {
  readonly restartCount?: number;
  readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
  readonly lastState?: {
    readonly terminated?: { readonly reason?: string; readonly exitCode?: number; readonly message?: string };
  };
}

interface PodStatus {
  readonly phase?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  readonly containerStatuses?: readonly ContainerStatus[];
}

/** @param currentHash of the Deployment: a pod with another one is of an earlier version and about to go */
export function replicaOf(pod: KubeObject, currentHash: string | undefined): ReplicaOfRole {
  const { annotations, deletionTimestamp, labels, name } = pod.metadata;
  const status = (pod.status ?? {}) as PodStatus;
  const [container] = status.containerStatuses ?? [];
  const base = {
    role: labels?.["app.kubernetes.io/component"] ?? "",
    name,
    restarts: container?.restartCount ?? 0,
  };
  if (deletionTimestamp !== undefined) return { ...base, state: "stopping" };
  if (currentHash !== undefined && annotations?.[podHashAnnotation] !== currentHash) {
    return { ...base, state: "stopping", reason: "of an earlier version" };
  }
  if (status.phase === "Failed" || status.phase === "Succeeded") {
    return { ...base, state: "stopped", reason: status.message ?? status.reason ?? status.phase };
  }
  const isTrue = (type: string) =>
    status.conditions?.some((one) => one.type === type && one.status === "True") === true;
  if (isTrue("Ready")) return { ...base, state: "ready" };
  const waiting = container?.state?.waiting;
  if (waiting?.reason === "CrashLoopBackOff") {
    return { ...base, state: "waiting", reason: `crash loop: ${describeEnd(container)}` };
  }
  if (waiting?.reason !== undefined && waiting.reason !== "ContainerCreating" && waiting.reason !== "PodInitializing") {
    return { ...base, state: "waiting", reason: [waiting.reason, waiting.message].filter(Boolean).join(": ") };
  }
  const unscheduled = status.conditions?.find((one) => one.type === "PodScheduled" && one.status === "False");
  if (unscheduled !== undefined) {
    return { ...base, state: "waiting", reason: `not scheduled: ${unscheduled.message ?? ""}` };
  }
  if (isTrue("ContainersReady") || container?.state?.waiting === undefined) {
    return { ...base, state: base.restarts > 0 ? "unready" : "starting", reason: "not ready yet" };
  }
  return { ...base, state: "starting" };
}

function describeEnd(container: ContainerStatus | undefined): string {
  const { exitCode, message, reason } = container?.lastState?.terminated ?? {};
  const what = reason === undefined || reason === "Error" ? `exit code ${exitCode ?? "unknown"}` : reason;
  return message === undefined ? what : `${what}, ${message.trim().split("\n").at(-1) ?? ""}`;
}
