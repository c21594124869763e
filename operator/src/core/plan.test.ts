import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseResource } from "../api/parse.ts";
import { plan } from "./plan.ts";

const example = readFileSync(new URL("../../../examples/shop.yaml", import.meta.url), "utf8");
/** The example with every section. */
const shop = example.includes("  orders:\n")
  ? example
  : example.replace("  partitions:", "  orders:\n    retries: 3\n\n  partitions:");
// A readable stand-in: equal texts have equal digests, and the snapshot does not change with its implementation.
const digests = new Map<string, string>();
const hash = (text: string) => {
  const known = digests.get(text) ?? `hash-${digests.size + 1}`;
  digests.set(text, known);
  return known;
};

function planOf(text: string, canSharePort = true) {
  const parsed = parseResource(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return plan(parsed.resource, { hash, canSharePort, samplesUrl: "http://127.0.0.1:8080/feeds/samples" });
}

const podHashes = (text: string) => planOf(text).workloads.map((workload) => workload.podHash);

describe("plan", () => {
  test("of the example", () => {
    expect({ ...planOf(shop), settings: undefined }).toMatchSnapshot();
  });

  test("live settings of the example", () => {
    expect(planOf(shop).settings).toMatchSnapshot();
  });

  test.each([
    ["the policy", 'multiply: "1.15"', 'multiply: "1.25"'],
    ["a limit", "capacity: 100", "capacity: 5"],
    ["how long prices are cached", "cacheTtl: 60s", "cacheTtl: 30s"],
    ["the log level", "logLevel: info", "logLevel: debug"],
  ])("%s travels as a live setting: no process is restarted", (_, before, after) => {
    const changed = shop.replace(before, after);
    expect(changed).not.toBe(shop);
    expect(podHashes(changed)).toEqual(podHashes(shop));
    expect(planOf(changed).settingsHash).not.toBe(planOf(shop).settingsHash);
  });

  test("a changed sample ratio restarts every process of ours and leaves the settings alone", () => {
    const changed = shop.replace('sampleRatio: "0.1"', 'sampleRatio: "0.5"');
    const restarted = planOf(changed).workloads.filter(({ podHash }, index) => podHash !== podHashes(shop)[index]);
    expect(restarted.map(({ role }) => role)).toEqual(
      planOf(shop).workloads.flatMap(({ role, service }) =>
        service === "processor" || service === "provider" ? [] : [role],
      ),
    );
    expect(planOf(changed).settingsHash).toBe(planOf(shop).settingsHash);
  });

  test("how many run is no reason for a restart", () => {
    const changed = shop.replace("min: 1, max: 12, drainTarget: 10s", "min: 3, max: 5, drainTarget: 30s");
    expect(podHashes(changed)).toEqual(podHashes(shop));
    expect(planOf(changed).workloads.find(({ role }) => role === "pricing-worker")).toMatchObject({
      replicas: 3,
      scale: { min: 3, max: 5, drainTargetMs: 30_000, partitions: 12, besides: [], waitsForPayments: false },
    });
  });

  test("one gateway runs where processes cannot share a port", () => {
    const replicas = (canSharePort: boolean) =>
      planOf(shop, canSharePort).workloads.find(({ role }) => role === "gateway")?.replicas;
    expect([replicas(true), replicas(false)]).toEqual([2, 1]);
  });

  test("a section left out is not run", () => {
    const head = "apiVersion: pricing-engine.dev/v1alpha1\nkind: PricingEngine\nmetadata: { name: x }\n";
    const empty = planOf(`${head}spec: {}`);
    expect([empty.workloads, empty.topics, empty.migrations, empty.partitions]).toEqual([[], [], [], []]);
    const gatewayOnly = planOf(`${head}spec: { gateway: {} }`);
    expect(gatewayOnly.workloads.map(({ role, env }) => [role, "PRICING_URL" in env])).toEqual([["gateway", false]]);
  });

  test("ingest: a poller, a worker, an api, a topic, live settings without tokens, and the gateway that asks it", () => {
    const source = `{ name: fever, url: "http://feeds.example/a", format: json, interval: 60s, secretRef: { name: fever } }`;
    const planned = planOf(shop.replace("  ingest: {}\n", `  ingest: { sources: [${source}] }\n`));
    expect(planned.workloads.map(({ role }) => role)).toEqual([
      "pricing-api",
      "pricing-worker",
      "ingest-api",
      "ingest-worker",
      "ingest-poller",
      "processor-default",
      "processor-fallback",
      "payment-api",
      "payment-worker",
      "orders-api",
      "orders-inventory",
      "orders-payment",
      "orders-fulfillment",
      "orders-notification",
      "gateway",
    ]);
    expect(planned.migrations).toContain("ingest");
    expect(planned.topics.filter(({ topic }) => topic.endsWith("catalog-events"))).toHaveLength(1);
    expect(planned.workloads.find(({ role }) => role === "ingest-worker")?.scale?.group).toEqual({
      name: `${planned.prefix}ingest-worker`,
      commands: [`${planned.prefix}catalog-events`],
      retries: [`${planned.prefix}catalog-events.ingest-worker.retry`],
    });
    const [settings] = planned.settings.ingest.sources;
    expect(settings).toEqual({
      name: "fever",
      url: "http://feeds.example/a",
      format: "json",
      intervalMs: 60_000,
      timeoutMs: 30_000,
      timezone: "UTC",
      products: false,
    });
    const env = Object.fromEntries(planned.workloads.map((workload) => [workload.role, workload.env]));
    expect(env.gateway).toHaveProperty("INGEST_URL");
    expect(env["ingest-api"]).toHaveProperty("POSTGRES_REPLICA_URL");
    expect(env["ingest-worker"]).toHaveProperty("PRICING_URL");
  });

  test("without sources a simulated provider is read, where the runtime has one", () => {
    const { notImplemented, settings, workloads } = planOf(shop);
    expect(workloads.filter(({ role }) => role === "provider")).toMatchObject([{ exposure: "internal", replicas: 1 }]);
    expect(settings.ingest.sources).toMatchObject([{ name: "samples", url: "http://127.0.0.1:8080/feeds/samples" }]);
    expect(notImplemented.map(({ path }) => path)).not.toContain("spec.ingest.sources");
    const parsed = parseResource(shop);
    if (!parsed.ok) throw new Error("the example is refused");
    const elsewhere = plan(parsed.resource, { hash, canSharePort: true });
    expect(elsewhere.workloads.filter(({ role }) => role === "provider")).toEqual([]);
    expect(elsewhere.settings.ingest.sources).toEqual([]);
    expect(elsewhere.notImplemented.map(({ path }) => path)).toContain("spec.ingest.sources");
  });

  test("named processors are called where they are, with their token; none is simulated", () => {
    const named = shop.replace(
      "  payment:\n",
      `  payment:
    processors:
      - { name: fallback, url: "https://b", fee: "0.15" }
      - { name: default, url: "https://a", fee: "0.05", secretRef: { name: pay } }
`,
    );
    const { failover, workloads } = planOf(named);
    const env = workloads.find(({ role }) => role === "payment-worker")?.env;
    expect(workloads.filter(({ service }) => service === "processor")).toEqual([]);
    const token = { from: "secret", secret: "pay", key: "token" };
    expect(env).toMatchObject({
      PAYMENT_DEFAULT_URL: { from: "value", value: "https://a" },
      PAYMENT_DEFAULT_TOKEN: token,
      PAYMENT_FALLBACK_URL: { from: "value", value: "https://b" },
    });
    expect(env).not.toHaveProperty("PAYMENT_FALLBACK_TOKEN");
    expect(failover?.processors.find(({ name }) => name === "default")).toMatchObject({ token });
  });

  test("orders: an api, a process and a topic for each stage, and partitions; secrets only where they are used", () => {
    const orders = `
    receipts: { s3: { endpoint: "http://s3.example", bucket: receipts, secretRef: { name: store } } }
    notifications: { webhook: { url: "http://hook.example", secretRef: { name: hook } } }
    stages: { fulfillment: { workers: { min: 2 } } }
`;
    const planned = planOf(shop.replace("  orders:\n", `  orders:${orders}`));
    const of = (role: string) => planned.workloads.find((workload) => workload.role === role);
    const stages = planned.workloads.filter(({ role, scale }) => role.startsWith("orders-") && scale !== undefined);
    expect(stages.map(({ argument, replicas }) => [argument, replicas])).toEqual([
      ["inventory", 1],
      ["payment", 1],
      ["fulfillment", 2],
      ["notification", 1],
    ]);
    for (const { role, scale } of stages) {
      expect(scale?.group.name).toBe(`${planned.prefix}${role}`);
      const written = planned.topics.map(({ topic }) => topic);
      expect(written).toEqual(expect.arrayContaining([...(scale?.group.commands ?? [])]));
    }
    expect(planned.partitions.map(({ table }) => table.name)).toEqual(
      expect.arrayContaining(["orders", "order_items", "order_transitions"]),
    );
    expect(of("gateway")?.env).toHaveProperty("ORDERS_URL");
    expect(of("orders-fulfillment")?.env).toMatchObject({
      RECEIPTS_S3_ENDPOINT: { from: "value", value: "http://s3.example" },
      RECEIPTS_S3_SECRET_ACCESS_KEY: { from: "secret", secret: "store", key: "secretAccessKey" },
    });
    expect(of("orders-notification")?.env).toMatchObject({
      NOTIFICATION_WEBHOOK_URL: { from: "value", value: "http://hook.example" },
      NOTIFICATION_WEBHOOK_TOKEN: { from: "secret", secret: "hook", key: "token" },
    });
    for (const role of ["orders-inventory", "orders-payment", "orders-notification"]) {
      expect(Object.keys(of(role)?.env ?? {}).filter((name) => name.startsWith("RECEIPTS"))).toEqual([]);
    }
    expect(of("orders-inventory")?.env).not.toHaveProperty("NOTIFICATION_WEBHOOK_TOKEN");
  });

  test("says what is asked for and not run", () => {
    const text = shop.replace("spec:\n", "spec:\n  deletionPolicy: Delete\n");
    expect(planOf(text).notImplemented.map(({ path }) => path)).toEqual(["spec.deletionPolicy"]);
  });

  test("every process that speaks to Kafka is told how, credentials by reference alone", () => {
    const access =
      "tls: true, caSecretRef: { name: ca }, sasl: { mechanism: scram-sha-512, secretRef: { name: login } }";
    const secured = planOf(shop.replace("spec:\n", `spec:\n  kafka: { brokers: [k:9092], ${access} }\n`));
    expect(secured.notImplemented).toEqual([]);
    const speaking = secured.workloads.filter(({ env }) => "KAFKA_BROKERS" in env);
    expect(speaking.map(({ role }) => role)).toEqual(expect.arrayContaining(["gateway", "pricing-worker"]));
    for (const { env } of speaking) {
      expect(env).toMatchObject({
        KAFKA_TLS: { from: "value", value: "true" },
        KAFKA_CA: { from: "secret", secret: "ca", key: "ca.crt" },
        KAFKA_SASL_MECHANISM: { from: "value", value: "scram-sha-512" },
        KAFKA_SASL_USERNAME: { from: "secret", secret: "login", key: "username" },
        KAFKA_SASL_PASSWORD: { from: "secret", secret: "login", key: "password" },
      });
    }
    const [plain] = planOf(shop).workloads;
    expect(Object.keys(plain?.env ?? {}).filter((name) => name.startsWith("KAFKA"))).toEqual(["KAFKA_BROKERS"]);
  });

  test("says nothing of deletionPolicy where data goes with the resource", () => {
    const parsed = parseResource(shop.replace("spec:\n", "spec:\n  deletionPolicy: Delete\n"));
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    const context = { hash, canSharePort: true, samplesUrl: "http://127.0.0.1:8080/feeds/samples", deletesData: true };
    expect(plan(parsed.resource, context).notImplemented).toEqual([]);
  });

  test("an annotation pauses the engine", () => {
    const paused = shop.replace("  name: shop", '  name: shop\n  annotations: { pricing-engine.dev/paused: "true" }');
    expect([planOf(shop).paused, planOf(paused).paused]).toEqual([false, true]);
    expect([planOf(shop).scalingPaused, planOf(paused).scalingPaused]).toEqual([false, true]);
    const scaling = planOf(paused.replace("/paused:", "/paused-scaling:"));
    expect([scaling.paused, scaling.scalingPaused, scaling.failover?.paused]).toEqual([false, true, false]);
  });
});
