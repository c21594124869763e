import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { helm, ofKind, podsOf, render } from "./helm.ts";

const charts = {
  "pricing-engine-operator": [],
  "pricing-engine": ["--values", "charts/pricing-engine/examples/shop.yaml"],
  "dev-infra": ["--set", "jaeger.enabled=true", "--set", "kafka.tlsSecret=kafka-tls"],
} as const;

it("knows every chart", () => {
  expect(readdirSync(join(import.meta.dirname, "../../charts")).sort()).toEqual(Object.keys(charts).sort());
});

describe.each(Object.entries(charts))("%s", (chart, args) => {
  const objects = render(chart, ...args);

  it("passes helm lint", () => {
    expect(helm("lint", "--strict", `charts/${chart}`, ...args)).toMatchObject({ code: 0 });
  });

  it("keeps restricted Pod Security in every pod", () => {
    const pods = podsOf(objects);
    expect(pods.length).toBeGreaterThan(0);
    for (const { name, pod } of pods) {
      expect(pod.securityContext, name).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: "RuntimeDefault" },
      });
      for (const container of pod.containers) {
        expect(container.securityContext, name).toMatchObject({
          allowPrivilegeEscalation: false,
          capabilities: { drop: ["ALL"] },
        });
      }
      const volumes = (pod.volumes ?? []).flatMap(Object.keys).filter((key) => key !== "name");
      expect(volumes.filter((kind) => !["configMap", "secret", "emptyDir"].includes(kind))).toEqual([]);
    }
  });

  it("names what every object belongs to, and where it is", () => {
    for (const { kind, metadata } of objects) {
      expect(metadata.labels, `${kind} ${metadata.name}`).toHaveProperty(["app.kubernetes.io/managed-by"], "Helm");
      if (/^(Cluster|CustomResource)/.test(kind)) continue;
      expect(metadata.namespace, `${kind} ${metadata.name}`).toBe("shop");
    }
  });

  it("asks for resources in everything that stays", () => {
    const staying = podsOf(objects.filter(({ kind }) => kind !== "Pod"));
    for (const { name, pod } of staying) {
      for (const { resources } of pod.containers) {
        expect(resources, name).toHaveProperty("requests.memory");
        expect(resources, name).toHaveProperty("limits.memory");
      }
    }
  });
});

it("dev-infra keeps everything that holds data on claims", () => {
  const sets = ofKind(render("dev-infra"), "StatefulSet");
  expect(sets.map(({ metadata }) => metadata.name).sort()).toEqual(
    ["kafka", "postgres", "postgres-replica", "processor-default", "processor-fallback", "redis", "s3"].sort(),
  );
  for (const { spec } of sets) expect(spec).toHaveProperty("volumeClaimTemplates.0.metadata.name", "data");
});
