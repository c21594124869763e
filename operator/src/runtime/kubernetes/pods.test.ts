import { expect, it } from "vitest";
import { podHashAnnotation } from "../../core/objects/manifest.ts";
import type { KubeObject } from "../../kube/types.ts";
import { findForeignAutoscaler } from "./foreign-autoscaler.ts";
import { replicaOf } from "./pods.ts";

const pod = (status: object, metadata: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: "shop-gateway-1",
    labels: { "app.kubernetes.io/component": "gateway" },
    annotations: { [podHashAnnotation]: "now" },
    ...metadata,
  },
  status,
});
const ready = { conditions: [{ type: "Ready", status: "True" }], containerStatuses: [{ restartCount: 2 }] };

it.each([
  ["ready", pod(ready), { state: "ready", restarts: 2 }],
  ["being deleted", pod(ready, { deletionTimestamp: "2026-01-01T00:00:00Z" }), { state: "stopping" }],
  ["of an earlier version", pod(ready, { annotations: { [podHashAnnotation]: "before" } }), { state: "stopping" }],
  [
    "in a crash loop",
    pod({
      containerStatuses: [
        {
          restartCount: 4,
          state: { waiting: { reason: "CrashLoopBackOff" } },
          lastState: { terminated: { exitCode: 1, reason: "Error" } },
        },
      ],
    }),
    { state: "waiting", reason: "crash loop: exit code 1", restarts: 4 },
  ],
  [
    "killed for its memory",
    pod({
      containerStatuses: [
        {
          restartCount: 4,
          state: { waiting: { reason: "CrashLoopBackOff" } },
          lastState: { terminated: { exitCode: 137, reason: "OOMKilled" } },
        },
      ],
    }),
    { state: "waiting", reason: "crash loop: OOMKilled" },
  ],
  [
    "without an image",
    pod({ containerStatuses: [{ state: { waiting: { reason: "ImagePullBackOff", message: "no such tag" } } }] }),
    { state: "waiting", reason: "ImagePullBackOff: no such tag" },
  ],
  [
    "without a node",
    pod({ conditions: [{ type: "PodScheduled", status: "False", message: "0/3 nodes: cpu" }] }),
    { state: "waiting", reason: "not scheduled: 0/3 nodes: cpu" },
  ],
  ["evicted", pod({ phase: "Failed", reason: "Evicted" }), { state: "stopped", reason: "Evicted" }],
])("a pod %s", (_, object, expected) => {
  expect(replicaOf(object, "now")).toMatchObject({ role: "gateway", name: "shop-gateway-1", ...expected });
});

it("finds the autoscaler that aims at a Deployment, and no other", () => {
  const autoscaler = (kind: string, name: string): KubeObject => ({
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: { name: `hpa-of-${name}` },
    spec: { scaleTargetRef: { kind, name } },
  });
  const all = [autoscaler("Deployment", "a"), autoscaler("StatefulSet", "b")];
  expect(findForeignAutoscaler(all, "a")).toBe("hpa-of-a");
  expect(findForeignAutoscaler(all, "b")).toBeUndefined();
});
