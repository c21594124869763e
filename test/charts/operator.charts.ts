import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { firstOf, type KubeObject, ofKind, render } from "./helm.ts";

const chart = "pricing-engine-operator";
const objects = render(chart);

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}
const rulesOf = (role: KubeObject): readonly Rule[] => role.rules as readonly Rule[];
interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly summary: string };
}

function alertsOf(rendered: readonly KubeObject[]): readonly Alert[] {
  const { groups } = firstOf(rendered, "PrometheusRule").spec as { groups: { rules: Alert[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

const roles = (rendered: readonly KubeObject[]) => [...ofKind(rendered, "Role"), ...ofKind(rendered, "ClusterRole")];

describe("the CRD", () => {
  it("is the committed one, is upgraded with the chart, and outlives it", () => {
    const [crd] = ofKind(objects, "CustomResourceDefinition");
    const file = join(import.meta.dirname, "../../crds/pricing-engine.dev_pricingengines.yaml");
    expect(crd?.spec).toEqual((parse(readFileSync(file, "utf8")) as KubeObject).spec);
    expect(crd?.metadata.annotations).toEqual({ "helm.sh/resource-policy": "keep" });
  });

  it("can be left to somebody else", () => {
    expect(ofKind(render(chart, "--set", "crds.install=false"), "CustomResourceDefinition")).toEqual([]);
  });
});

describe("rights", () => {
  it("hold no wildcard, and never list Secrets", () => {
    const rules = roles(objects).flatMap(rulesOf);
    expect(rules.filter((rule) => [...rule.apiGroups, ...rule.resources, ...rule.verbs].includes("*"))).toEqual([]);
    const onSecrets = rules.filter(({ resources }) => resources.includes("secrets"));
    expect(onSecrets.flatMap(({ verbs }) => verbs)).toEqual(["get", "create", "patch"]);
  });

  it("in namespace scope are Roles of that namespace, but for the CRD", () => {
    const scoped = render(chart, "--set", "watchNamespace=tickets");
    expect(scoped.filter(({ kind }) => kind.startsWith("ClusterRole"))).toEqual([]);
    const namespaces = ofKind(scoped, "Role").map(({ metadata }) => metadata.namespace);
    expect(namespaces.sort()).toEqual(["shop", "tickets"]);
    expect(ofKind(scoped, "RoleBinding").flatMap(({ subjects }) => subjects)).toEqual(
      Array(2).fill({ kind: "ServiceAccount", name: "shop-pricing-engine-operator", namespace: "shop" }),
    );
  });
});

describe("availability", () => {
  it("is two replicas that are not evicted together", () => {
    expect(ofKind(objects, "Deployment")[0]?.spec).toMatchObject({ replicas: 2 });
    expect(ofKind(objects, "PodDisruptionBudget")[0]?.spec).toMatchObject({ maxUnavailable: 1 });
  });

  it("of one replica does not stop a node from being drained", () => {
    expect(ofKind(render(chart, "--set", "replicaCount=1"), "PodDisruptionBudget")).toEqual([]);
  });
});

describe("monitoring", () => {
  it("is off by default: its kinds may not exist", () => {
    expect(objects.filter(({ apiVersion }) => apiVersion.startsWith("monitoring.coreos.com"))).toEqual([]);
  });

  const kinds = ["serviceMonitor", "podMonitor", "prometheusRule", "dashboard"];
  const on = kinds.flatMap((kind) => ["--set", `metrics.${kind}.enabled=true`]);
  const rendered = render(chart, ...on);

  it("asks for no metric that nobody exports", () => {
    const root = join(import.meta.dirname, "../..");
    const files = globSync("{packages,services,operator}/**/src/**/*.ts", {
      cwd: root,
      exclude: (path) => path.includes("node_modules"),
    });
    const sources = files.map((file) => readFileSync(join(root, file), "utf8")).join("\n");
    const asking = JSON.stringify([firstOf(rendered, "PrometheusRule"), firstOf(rendered, "ConfigMap")]);
    const named = asking.matchAll(/\b(?:pricing_engine|workqueue|controller_runtime|leader_election)_[a-z_]+/g);
    const names = new Set([...named].map(([name]) => name.replace(/_(?:bucket|count|sum)$/, "")));
    expect(names.size).toBeGreaterThan(10);
    expect([...names].filter((name) => !sources.includes(`"${name}"`))).toEqual([]);
  });

  it("finds the operator and the pods of the engines that it looks after", () => {
    expect(firstOf(rendered, "ServiceMonitor").spec).toMatchObject({ endpoints: [{ port: "metrics" }] });
    expect(firstOf(rendered, "PodMonitor").spec).toMatchObject({
      namespaceSelector: { any: true },
      selector: { matchLabels: { "app.kubernetes.io/managed-by": "pricing-engine-operator" } },
      podMetricsEndpoints: [{ port: "metrics" }],
    });
    const scoped = render(chart, ...on, "--set", "watchNamespace=tickets");
    expect(firstOf(scoped, "PodMonitor").spec).toMatchObject({ namespaceSelector: { matchNames: ["tickets"] } });
  });

  it("notices that no operator leads also when none is there to say so, by this release's own lease", () => {
    const [, lease] = /"LEASE_NAME","value":"([^"]+)"/.exec(JSON.stringify(firstOf(rendered, "Deployment"))) ?? [];
    expect(lease).toBe("shop-pricing-engine-operator");
    const { expr } = alertsOf(rendered).find(({ alert }) => alert === "PricingEngineNoLeader") ?? {};
    const series = `leader_election_master_status{name="${lease}",namespace="shop"}`;
    expect(expr).toBe(`sum(${series}) < 1 or absent(${series})`);
  });

  it("brings alerts and a dashboard", () => {
    const alerts = alertsOf(rendered);
    expect(alerts.map(({ alert }) => alert)).toEqual(
      expect.arrayContaining([
        "PricingEngineReconcileStuck",
        "PricingEnginePartitionRunway",
        "PricingEngineBothProcessorsDown",
        "PricingEngineProcessorMisconfigured",
        "PricingEngineDeadLetters",
      ]),
    );
    expect(alerts.filter(({ annotations }) => !annotations.summary)).toEqual([]);
    const board = firstOf(rendered, "ConfigMap") as KubeObject & { data: Record<string, string> };
    const { panels } = JSON.parse(board.data["pricing-engine.json"] ?? "{}") as { panels: { id: number }[] };
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(panels.length).toBeGreaterThan(10);
  });
});

it("tells the controller what it needs", () => {
  const operator = firstOf(render(chart, "--set", "image.registry=r.example,image.tag=1.2.3"), "Deployment");
  const { template } = operator.spec as {
    template: { spec: { containers: { env: { name: string; value?: string }[] }[] } };
  };
  const env = Object.fromEntries(template.spec.containers[0]?.env.map(({ name, value }) => [name, value]) ?? []);
  expect(env).toMatchObject({
    WATCH_NAMESPACE: "",
    IMAGE_REGISTRY: "r.example",
    IMAGE_TAG: "1.2.3",
    METRICS_PORT: "8080",
  });
  expect(Object.keys(env)).toEqual(expect.arrayContaining(["LEASE_NAMESPACE", "POD_NAME", "HEALTH_PORT", "LOG_LEVEL"]));
});

it.each([
  ["replicaCount=0", "replicaCount"],
  ["watchNamespace=Not_A_Name", "watchNamespace"],
  ["loglevel=debug", "loglevel"],
  ["logLevel=loud", "logLevel"],
])("refuses %s", (setting, field) => {
  expect(() => render(chart, "--set", setting)).toThrow(field);
});

it("sends traces where it is told to, and nowhere else", () => {
  const collector = "http://jaeger:4318";
  const envOf = (rendered: readonly KubeObject[]) => {
    const { template } = firstOf(rendered, "Deployment").spec as {
      template: { spec: { containers: { env: { name: string; value?: string }[] }[] } };
    };
    return Object.fromEntries(template.spec.containers[0]?.env.map(({ name, value }) => [name, value]) ?? []);
  };
  expect(envOf(objects)).not.toHaveProperty("OTEL_EXPORTER_OTLP_ENDPOINT");
  expect(envOf(render(chart, "--set", `telemetry.otlpEndpoint=${collector}`))).toMatchObject({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector,
    TRACE_SAMPLE_RATIO: "0.1",
  });
});
