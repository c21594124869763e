import { type ApiAnswer, makeApiCaller } from "@pricing-engine/hack/envtest";
import { parseResource } from "@pricing-engine/operator/parse";
import { apiServer, makeTestNamespace } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";

/** What is wrong in it, as a JSON value put at a path of the good resource; undefined takes the field away. */
type Change = readonly [path: string, value: unknown];

const rule = (name: string) => ({ name, adjust: { multiply: "1.1" } });
const processor = (name: string) => ({ name, url: "http://pay.example", fee: "0.05" });
const good = {
  apiVersion: "pricing-engine.dev/v1alpha1",
  kind: "PricingEngine",
  metadata: { name: "shop", namespace: "default" },
  spec: {
    kafka: { brokers: ["kafka:9092"], topics: { partitions: 12, replicationFactor: 1 } },
    postgres: { primary: { secretRef: { name: "postgres" } } },
    redis: { secretRef: { name: "redis" } },
    gateway: { resources: { requests: { cpu: 1, memory: "64Mi" } } },
    pricing: {
      policy: {
        market: [rule("demand")],
        corridor: { floor: "1.00", ceiling: "999.00" },
        rounding: { increment: "0.10" },
      },
    },
    ingest: {
      sources: [{ name: "feed", url: "https://feed.example/list.xml", format: "plan-list-xml", products: true }],
    },
    payment: { processors: [processor("default"), processor("fallback")] },
    orders: { receipts: { s3: { endpoint: "http://s3", bucket: "receipts", secretRef: { name: "s3" } } } },
    partitions: { retention: {} },
  },
};

/** Refused by both: the zod schema, which the local runtime and the operator read, and the API server. */
const refusedByBoth: readonly Change[] = [
  ["spec.gateway.replicas", { min: 3, max: 2 }],
  ["spec.pricing.workers", { min: 20 }],
  ["spec.orders.stages", { payment: { workers: { min: 5, max: 4 } } }],
  ["spec.pricing.quoteTtl", "60s"],
  ["spec.pricing.cacheTtl", "25h"],
  ["spec.pricing.cacheTtl", "tomorrow"],
  ["spec.pricing.workers", { drainTarget: "10ms" }],
  ["spec.pricing.policy.market", [rule("a"), rule("a")]],
  ["spec.pricing.policy.market", [{ name: "a", adjust: {} }]],
  ["spec.pricing.policy.market", [{ name: "a", adjust: { multiply: "1", set: "2" } }]],
  ["spec.pricing.policy.corridor", { floor: "10.00", ceiling: "9.999999999" }],
  ["spec.pricing.policy.corridor", { legalMinimum: "10", ceiling: "9.99" }],
  ["spec.pricing.policy.corridor", { floor: "-1" }],
  ["spec.pricing.policy.rounding", { increment: "0.00" }],
  ["spec.pricing.policy.rounding", { increment: "0.10", ending: "0.10" }],
  ["spec.payment.processors", [processor("default")]],
  ["spec.payment.processors", [processor("default"), processor("default")]],
  ["spec.payment.processors", [processor("default"), processor("other")]],
  ["spec.payment.processors", [processor("default"), { ...processor("fallback"), fee: "1.01" }]],
  ["spec.payment.processors", [processor("default"), { ...processor("fallback"), url: "ftp://pay.example" }]],
  ["spec.payment.failover", { maxVerdictAge: "5s" }],
  ["spec.payment.failover", { probeInterval: "1s" }],
  ["spec.payment.failover", { probeInterval: "25h", maxVerdictAge: "60h" }],
  ["spec.orders.stateTimeout", "87841h"],
  ["spec.orders.stateTimeout", "99999999999999h"],
  ["spec.orders.stateTimeout", "15m\r\n"],
  [
    "spec.orders.receipts",
    { directory: "/receipts", s3: { endpoint: "http://s3", bucket: "receipts", secretRef: { name: "s3" } } },
  ],
  ["spec.orders.receipts", {}],
  ["spec.pricing", undefined],
  ["spec.payment", undefined],
  ["spec.gateway.rateLimit", { refillPerSecond: 0 }],
  ["spec.gateway.rateLimit", { tenants: [1, 2].map(() => ({ name: "a", capacity: 1, refillPerSecond: 1 })) }],
  ["spec.gateway.auth", "basic"],
  ["spec.gateway.typo", true],
  ["spec.kafka.brokers", []],
  ["spec.kafka.brokers", ["kafka"]],
  ["spec.partitions.retention.keep", "24months"],
  ["spec.telemetry", { sampleRatio: "1.5" }],
  ["metadata.name", "a".repeat(41)],
];

/** What may be left out on one machine is refused on a cluster. */
const refusedByServer: readonly Change[] = [
  ["spec.kafka", undefined],
  ["spec.postgres", undefined],
  ["spec.redis", undefined],
  ["spec.payment.processors", undefined],
  ["spec.orders.receipts", undefined],
];

function withChange([path, value]: Change): typeof good {
  const copy = structuredClone(good);
  const parts = path.split(".");
  const last = parts.pop() ?? "";
  let at: Record<string, unknown> = copy;
  for (const part of parts) at = at[part] as Record<string, unknown>;
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy;
}

const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const dry = "?dryRun=All&fieldValidation=Strict";

const server = makeApiCaller(apiServer());
let engines: string;

beforeAll(async () => {
  good.metadata.namespace = await makeTestNamespace();
  engines = `/apis/pricing-engine.dev/v1alpha1/namespaces/${good.metadata.namespace}/pricingengines`;
});

afterAll(() => server.close());

const create = (resource: unknown): Promise<ApiAnswer> => server.call("POST", `${engines}${dry}`, resource);
const title = ([path, value]: Change): string => `${path} = ${JSON.stringify(value)?.slice(0, 80)}`;

it("is established, without a remark about its schema", async () => {
  const { body } = await server.call("GET", `${crds}/pricingengines.pricing-engine.dev`);
  const { conditions } = body.status as { conditions: { type: string; status: string; message: string }[] };
  expect(conditions.find(({ type }) => type === "NonStructuralSchema")).toBeUndefined();
  expect(conditions.filter(({ type }) => type === "Established")).toMatchObject([{ status: "True" }]);
});

it("takes the good resource and fills in what it leaves out", async () => {
  expect(parseResource(stringify(good))).toMatchObject({ ok: true });
  const { body, status } = await create(good);
  expect(body.message ?? "").toBe("");
  expect(status).toBe(201);
  expect(body.spec).toMatchObject({
    deletionPolicy: "Retain",
    gateway: { auth: "none", replicas: { min: 2, max: 6, cpu: 70 }, rateLimit: { capacity: 100, refillPerSecond: 10 } },
    pricing: { cacheTtl: "60s", quoteTtl: "5m", workers: { min: 1, max: 12, drainTarget: "10s" } },
    payment: { failover: { probeInterval: "5s", maxVerdictAge: "30s" }, routing: { maxLatencyRatio: 3 } },
    orders: { stages: { notification: { workers: { max: 12 } } } },
    partitions: { premakeMonths: 3, retention: { keep: "24mo", action: "detach", grace: "24h" } },
  });
});

describe("refused by the operator and by the API server", () => {
  it.each(refusedByBoth.map((change) => [title(change), change] as const))("%s", async (_title, change) => {
    const resource = withChange(change);
    expect(parseResource(stringify(resource))).toMatchObject({ ok: false });
    const { body, status } = await create(resource);
    expect(`${status} ${body.message}`).toMatch(/^4(00|22) /);
    // It says where, or at least names the field.
    expect(body.message).toContain(change[0].split(".").at(-1));
  });
});

it("takes a feed without prices, also while it names no sources", async () => {
  const { orders: _1, payment: _2, pricing: _3, ...spec } = good.spec;
  expect(await create({ ...good, spec: { ...spec, ingest: {} } })).toMatchObject({ status: 201 });
  expect(await create({ ...good, spec })).toMatchObject({
    status: 422,
    body: { message: expect.stringContaining("products: true needs the pricing section") },
  });
});

it("refuses receipts in a directory, which pods do not share", async () => {
  const resource = withChange(["spec.orders.receipts", { directory: "/receipts" }]);
  expect(parseResource(stringify(resource))).toMatchObject({ ok: true });
  expect(await create(resource)).toMatchObject({
    status: 422,
    body: { message: expect.stringContaining("pods share no disk") },
  });
});

describe("refused on a cluster alone", () => {
  it.each(refusedByServer.map((change) => [title(change), change] as const))("%s", async (_title, change) => {
    const resource = withChange(change);
    expect(parseResource(stringify(resource))).toMatchObject({ ok: true });
    expect(await create(resource)).toMatchObject({
      status: 422,
      body: { message: expect.stringContaining("may be left out in the local runtime alone") },
    });
  });
});

describe("a stored resource", () => {
  const at = (): string => `${engines}/shop`;
  const change = async (wanted: Change): Promise<ApiAnswer> => {
    const { body } = await server.call("GET", at());
    const next = withChange(wanted);
    const { resourceVersion } = body.metadata as { resourceVersion: string };
    return await server.call("PUT", `${at()}${dry}`, { ...next, metadata: { ...good.metadata, resourceVersion } });
  };

  beforeAll(async () => expect(await server.call("POST", engines, good)).toMatchObject({ status: 201 }));

  it("may get more partitions, and never fewer, nor other replicas", async () => {
    expect(await change(["spec.kafka.topics", { partitions: 24, replicationFactor: 1 }])).toMatchObject({
      status: 200,
    });
    expect(await change(["spec.kafka.topics", { partitions: 6, replicationFactor: 1 }])).toMatchObject({
      status: 422,
      body: { message: expect.stringContaining("Kafka cannot take partitions away") },
    });
    expect(await change(["spec.kafka.topics", { partitions: 12, replicationFactor: 3 }])).toMatchObject({
      status: 422,
    });
  });

  it("keeps its whole status, through the subresource alone", async () => {
    const { body } = await server.call("GET", at());
    const now = "2026-11-26T00:00:00Z";
    const status = {
      observedGeneration: 1,
      conditions: [{ type: "Ready", status: "True", reason: "AllReady", message: "", lastTransitionTime: now }],
      workers: [
        {
          role: "payment-worker",
          replicas: 1,
          ready: 1,
          desired: 1,
          lag: 3,
          drainSeconds: 0.5,
          reason: "lag",
          processes: [],
        },
      ],
      processors: [{ name: "default", state: "Healthy", latency: "5ms", since: now }],
      route: "default",
      partitions: [{ table: "payment.payments", aheadUntil: "2027-04-01T00:00:00Z", months: 5 }],
      sources: [{ name: "feed", lastSuccess: null, state: "starting" }],
      notImplemented: [],
      summary: { workers: "1/1", lag: 3, partitionsUntil: "2027-03" },
    };
    expect(await server.call("PUT", `${at()}/status`, { ...body, status })).toMatchObject({
      status: 200,
      body: { status },
    });
    const table = await server.table(engines);
    expect(table.columns).toEqual(["Name", "Ready", "Route", "Workers", "Lag", "Partitions Until", "Age", "Reason"]);
    expect(table.rows[0]?.slice(0, 6)).toEqual(["shop", "True", "default", "1/1", 3, "2027-03"]);
  });
});
