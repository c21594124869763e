import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseResource } from "@pricing-engine/operator/parse";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { firstOf, type KubeObject, ofKind, render } from "./helm.ts";

const folder = "charts/pricing-engine/examples";
const examples = readdirSync(join(import.meta.dirname, "../..", folder));
const renderExample = (example: string, ...args: string[]) =>
  render("pricing-engine", "--values", `${folder}/${example}`, ...args);

function engineOf(objects: readonly KubeObject[]): KubeObject & { spec: Record<string, unknown> } {
  return firstOf(objects, "PricingEngine") as KubeObject & { spec: Record<string, unknown> };
}

describe.each(examples)("%s", (example) => {
  it("is a resource that the operator accepts", () => {
    const { metadata, ...engine } = engineOf(renderExample(example));
    const { labels, name, namespace } = metadata;
    const parsed = parseResource(stringify({ ...engine, metadata: { name, namespace, labels } }));
    expect(parsed).toMatchObject({ ok: true });
  });
});

describe("with charts/dev-infra", () => {
  const infra = render("dev-infra");

  /** Every `secretRef` of a resource, wherever it stands. */
  function secretRefs(value: unknown): string[] {
    if (typeof value !== "object" || value === null) return [];
    const { secretRef } = value as { secretRef?: { name: string } };
    return [...(secretRef === undefined ? [] : [secretRef.name]), ...Object.values(value).flatMap(secretRefs)];
  }

  it("an engine finds every Secret and every host that it names", () => {
    const { spec } = engineOf(renderExample("shop.yaml"));
    const secrets = ofKind(infra, "Secret").map(({ metadata }) => metadata.name);
    expect(secrets).toEqual(expect.arrayContaining(secretRefs(spec)));
    const texts = JSON.stringify([spec, ofKind(infra, "Secret")]);
    const hosts = [...texts.matchAll(/([a-z0-9-]+)\.shop\.svc\.cluster\.local:(\d+)/g)].map(([, host, port]) => [
      host,
      Number(port),
    ]);
    expect(hosts.length).toBeGreaterThan(5);
    const services = ofKind(infra, "Service").map(({ metadata, spec: service }) => {
      return [metadata.name, (service as { ports: { port: number }[] }).ports[0]?.port];
    });
    for (const host of hosts) expect(services).toContainEqual(host);
  });

  it("keeps what a resource says itself", () => {
    const own = ["--set", "spec.kafka.brokers={broker.example:9092}", "--set", "spec.redis.secretRef.name=mine"];
    expect(engineOf(renderExample("shop.yaml", ...own)).spec).toMatchObject({
      kafka: { brokers: ["broker.example:9092"] },
      redis: { secretRef: { name: "mine" } },
      postgres: { primary: { secretRef: { name: "postgres" } } },
    });
  });
});

it("says which connection is missing", () => {
  expect(() => render("pricing-engine")).toThrow(/spec\.kafka is missing.*devInfra=true/);
});

it.each([
  ["spec.gatway.auth=none", "gatway"],
  ["spec.gateway.auth=basic", "auth"],
  ["spec.payment.workers.min=-1", "min"],
  ["nodePort.port=80", "port"],
])("refuses %s before the API server does", (setting, field) => {
  expect(() => renderExample("shop.yaml", "--set", setting)).toThrow(field);
});

it("takes a section away with null", () => {
  expect(Object.keys(engineOf(renderExample("payments-only.yaml")).spec)).not.toContain("pricing");
});

it("pulls the image of `helm test` as the engine's own", () => {
  const [test] = ofKind(renderExample("shop.yaml", "--set", "spec.image.pullSecrets[0].name=mine"), "Pod");
  expect(test?.spec).toMatchObject({ imagePullSecrets: [{ name: "mine" }] });
});
