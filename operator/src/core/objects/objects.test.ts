import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { parseResource } from "../../api/parse.ts";
import { plan, type Workload } from "../plan.ts";
import { makeDeployment } from "./deployment.ts";
import { podHashAnnotation } from "./manifest.ts";
import { makeMigrationJob } from "./migration-job.ts";
import type { ObjectContext } from "./naming.ts";
import { makeSharedObjects } from "./shared-objects.ts";

const shop = `
apiVersion: pricing-engine.dev/v1alpha1
kind: PricingEngine
metadata: { name: shop, namespace: tickets }
spec:
  kafka: { brokers: ["kafka:9092"] }
  postgres: { primary: { secretRef: { name: pg } }, replica: { secretRef: { name: pg-replica } } }
  redis: { secretRef: { name: redis } }
  gateway: { auth: apiKey, replicas: { min: 3, max: 9, cpu: 60 } }
  pricing: { workers: { min: 0, max: 4, resources: { limits: { memory: 200Mi } } } }
  ingest: { sources: [{ name: fever, url: "http://feeds.example/a", format: json, interval: 60s, secretRef: { name: fever } }] }
  payment:
    processors:
      - { name: default, url: "http://pay.example", fee: "0.05", secretRef: { name: pay } }
      - { name: fallback, url: "http://pay2.example", fee: "0.15" }
  orders:
    receipts: { s3: { endpoint: "http://s3:7070", bucket: receipts, region: eu, secretRef: { name: s3 } } }
    notifications: { webhook: { url: "http://hook.example", secretRef: { name: hook } } }
`;

function planned(text = shop, overrides: Partial<ObjectContext> = {}) {
  const parsed = parseResource(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const hash = (value: string) => createHash("sha256").update(value).digest("hex");
  const context: ObjectContext = {
    resource: parsed.resource,
    uid: "u-1",
    images: { registry: "registry.example/pe", tag: "1.2.3" },
    operatorNamespace: "operators",
    secretsHash: "s",
    hash,
    ...overrides,
  };
  return { context, plan: plan(parsed.resource, { hash, canSharePort: true }) };
}

interface Pod {
  readonly containers: readonly {
    readonly image: string;
    readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: unknown }[];
    readonly resources: unknown;
    readonly securityContext: Readonly<Record<string, unknown>>;
    readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
    readonly lifecycle?: unknown;
  }[];
  readonly volumes: readonly { readonly name: string }[];
  readonly automountServiceAccountToken: boolean;
  readonly securityContext: Readonly<Record<string, unknown>>;
}

function podOf(context: ObjectContext, workload: Workload) {
  const { spec } = makeDeployment(context, workload, undefined) as unknown as {
    spec: { replicas?: number; template: { metadata: { annotations: Record<string, string> }; spec: Pod } };
  };
  return {
    spec: spec.template.spec,
    hash: spec.template.metadata.annotations[podHashAnnotation],
    replicas: spec.replicas,
  };
}

describe("objects of an engine", () => {
  it("are the same for the same resource, one Deployment for each role", () => {
    const { context, plan } = planned();
    const objects = [
      ...makeSharedObjects(context, plan.workloads),
      ...plan.workloads.map((workload) => makeDeployment(context, workload, undefined)),
      makeMigrationJob(context, "pricing"),
    ];
    const names = objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toMatchSnapshot();
    expect(objects.map(({ metadata }) => metadata.namespace)).toEqual(names.map(() => "tickets"));
    for (const { metadata } of objects) expect(metadata.ownerReferences?.[0]?.uid).toBe("u-1");
  });

  it("have names that Kubernetes takes, also of an engine with the longest name", () => {
    const { context, plan } = planned(shop.replace("name: shop,", `name: ${"n".repeat(40)},`));
    const objects = [
      ...makeSharedObjects(context, plan.workloads),
      ...plan.workloads.map((workload) => makeDeployment(context, workload, undefined)),
      ...plan.migrations.map((service) => makeMigrationJob(context, service)),
    ];
    expect(plan.migrations).toHaveLength(5);
    for (const { kind, metadata } of objects) {
      // Services and Jobs are labels, and a Deployment's is the beginning of its pods'.
      expect(metadata.name.length, `${kind} ${metadata.name}`).toBeLessThanOrEqual(63);
    }
  });

  it("a Deployment in full", () => {
    const { context, plan } = planned();
    const gateway = plan.workloads.find(({ role }) => role === "gateway") as Workload;
    expect(makeDeployment(context, gateway, undefined)).toMatchSnapshot();
  });

  it("pass the restricted Pod Security Standard, every one", () => {
    const { context, plan } = planned();
    for (const workload of plan.workloads) {
      const { spec } = podOf(context, workload);
      expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
      expect(spec.automountServiceAccountToken).toBe(false);
      expect(spec.containers[0]?.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
    }
  });

  it("name Secrets, and never hold what is in them", () => {
    const { context, plan } = planned();
    const worker = plan.workloads.find(({ role }) => role === "payment-worker") as Workload;
    const env = podOf(context, worker).spec.containers[0]?.env ?? [];
    const secretOf = (name: string) => env.find((one) => one.name === name)?.valueFrom;
    expect(secretOf("POSTGRES_URL")).toEqual({ secretKeyRef: { name: "pg", key: "url" } });
    expect(secretOf("REDIS_URL")).toEqual({ secretKeyRef: { name: "redis", key: "url" } });
    expect(secretOf("PAYMENT_DEFAULT_TOKEN")).toEqual({ secretKeyRef: { name: "pay", key: "token" } });
    expect(env.find((one) => one.name === "PAYMENT_FALLBACK_TOKEN")).toBeUndefined();
  });

  it("every mount has its volume, every file its mount", () => {
    const { context, plan } = planned();
    for (const workload of plan.workloads) {
      const { containers, volumes } = podOf(context, workload).spec;
      const [container] = containers;
      expect(container?.volumeMounts.map(({ name }) => name).sort()).toEqual(volumes.map(({ name }) => name).sort());
      const files = (container?.env ?? []).filter(({ name }) => name.endsWith("_FILE"));
      for (const { value = "" } of files) {
        expect(container?.volumeMounts.some(({ mountPath }) => value.startsWith(`${mountPath}/`))).toBe(true);
      }
    }
  });

  it.each([
    ["{ limits: { memory: 200Mi } }", { requests: { cpu: "50m" }, limits: { memory: "200Mi" } }],
    ["{ limits: { cpu: 20m } }", { requests: { memory: "96Mi" }, limits: { cpu: "20m" } }],
    ["{ requests: { cpu: 1, memory: 1Gi } }", { requests: { cpu: 1, memory: "1Gi" } }],
  ])("the autoscaler has a request to reckon with: %s", (resources, expected) => {
    const { context, plan } = planned(shop.replace("gateway: {", `gateway: { resources: ${resources},`));
    const gateway = plan.workloads.find(({ role }) => role === "gateway") as Workload;
    expect(podOf(context, gateway).spec.containers[0]?.resources).toEqual(expected);
  });

  it("internal ports are for the engine's own pods, and for the operator's in its namespace", () => {
    const { context, plan } = planned();
    const policies = makeSharedObjects(context, plan.workloads).filter(
      ({ metadata }) => metadata.name === "shop-internal",
    );
    type Rule = { from?: { namespaceSelector?: object; podSelector: object }[] };
    const from = policies
      .flatMap(({ spec }) => (spec as { ingress: Rule[] }).ingress)
      .flatMap((rule) => rule.from ?? []);
    expect(from.map(({ namespaceSelector }) => namespaceSelector)).toEqual([
      undefined,
      { matchLabels: { "kubernetes.io/metadata.name": "operators" } },
    ]);
    for (const { podSelector } of from) expect(podSelector).toHaveProperty("matchLabels");
  });

  it("a number is written only where nothing else scales", () => {
    const { context, plan } = planned();
    const api = plan.workloads.find(({ role }) => role === "pricing-api") as Workload;
    expect(podOf(context, api).replicas).toBeUndefined();
    expect((makeDeployment(context, api, 1) as unknown as { spec: { replicas: number } }).spec.replicas).toBe(1);
  });

  it("pods roll when a Secret, an image or resources change, and not for a live setting", () => {
    const { context, plan } = planned();
    const hashes = (text: string, overrides: Partial<ObjectContext> = {}) => {
      const other = planned(text, { hash: context.hash, ...overrides });
      return other.plan.workloads.map((workload) => podOf(other.context, workload).hash);
    };
    const before = plan.workloads.map((workload) => podOf(context, workload).hash);
    expect(hashes(shop)).toEqual(before);
    expect(hashes(shop.replace("auth: apiKey", "auth: none"))).toEqual(before);
    expect(hashes(shop, { secretsHash: "other" })).not.toEqual(before);
    expect(hashes(shop, { images: { registry: "registry.example/pe", tag: "1.2.4" } })).not.toEqual(before);
  });

  it("the resource's own image wins over the operator's", () => {
    const { context, plan } = planned(shop.replace("spec:\n", "spec:\n  image: { registry: mine.example, tag: v9 }\n"));
    const [workload] = plan.workloads;
    expect(workload && podOf(context, workload).spec.containers[0]?.image).toBe(`mine.example/${workload?.service}:v9`);
  });
});
