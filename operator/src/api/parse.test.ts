import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatProblems, parseResource } from "./parse.ts";

const shop = readFileSync(new URL("../../../examples/shop.yaml", import.meta.url), "utf8");

function parseSpec(spec: unknown, metadata: unknown = { name: "shop" }) {
  const kind = "PricingEngine";
  return parseResource(JSON.stringify({ apiVersion: "pricing-engine.dev/v1alpha1", kind, metadata, spec }));
}

function problemsOf(spec: unknown): readonly string[] {
  const parsed = parseSpec(spec);
  return parsed.ok ? [] : parsed.problems.map(({ path, message }) => `${path}: ${message}`);
}

function acceptSpec(spec: unknown) {
  const parsed = parseSpec(spec);
  if (!parsed.ok) throw new Error(formatProblems(parsed.problems));
  return parsed.resource.spec;
}

const processors = [
  { name: "default", url: "http://a", fee: "0.05" },
  { name: "fallback", url: "http://b", fee: "0.15" },
];
const source = { name: "fever", url: "https://provider.example/feed", format: "plan-list-xml" };

describe("the resource", () => {
  test("of the example is accepted", () => {
    const parsed = parseResource(shop);
    expect(parsed.ok && parsed.resource.metadata).toMatchObject({ name: "shop", namespace: "default" });
  });

  test("has the defaults of the contract", () => {
    const spec = acceptSpec({
      gateway: {},
      pricing: {},
      ingest: { sources: [source] },
      payment: { processors },
      orders: {},
    });
    expect(spec).toMatchSnapshot();
  });

  test("runs nothing that is left out", () => {
    const { gateway, ingest, orders, payment, pricing } = acceptSpec({});
    expect([gateway, ingest, orders, payment, pricing]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  const refused: [string, unknown, string][] = [
    ["an unknown field", { gatway: {} }, "spec.gatway: unknown field"],
    [
      "an unknown field deep inside",
      { pricing: { policy: { market: [{ name: "a", adjust: { set: "1" }, whn: "true" }] } } },
      "spec.pricing.policy.market[0].whn: unknown field",
    ],
    [
      "more gateways at least than at most",
      { gateway: { replicas: { min: 7 } } },
      "spec.gateway.replicas.min: must not exceed max",
    ],
    [
      "more workers at least than at most",
      { pricing: { workers: { min: 3, max: 2 } } },
      "spec.pricing.workers.min: must not exceed max",
    ],
    [
      "quotes shorter than the cache",
      { pricing: { quoteTtl: "60s" } },
      "spec.pricing.quoteTtl: must be longer than cacheTtl",
    ],
    [
      "a number for a decimal",
      { pricing: { policy: { corridor: { floor: 1 } } } },
      "spec.pricing.policy.corridor.floor: expected string, got number (put it in quotes)",
    ],
    [
      "a floor above the ceiling",
      { pricing: { policy: { corridor: { floor: "10.00", ceiling: "9.99" } } } },
      "spec.pricing.policy.corridor.floor: must not exceed ceiling",
    ],
    [
      "an ending that no increment reaches",
      { pricing: { policy: { rounding: { increment: "0.10", ending: "0.10" } } } },
      "spec.pricing.policy.rounding.ending: must be less than increment",
    ],
    [
      "two rules of one name",
      {
        pricing: {
          policy: {
            market: [
              { name: "a", adjust: { set: "1" } },
              { name: "a", adjust: { set: "2" } },
            ],
          },
        },
      },
      'spec.pricing.policy.market[1].name: "a" is there twice',
    ],
    [
      "a certificate authority without TLS",
      { kafka: { brokers: ["k:9092"], caSecretRef: { name: "ca" } } },
      "spec.kafka.caSecretRef: needs tls: true",
    ],
    [
      "a mechanism that no client of ours knows",
      { kafka: { brokers: ["k:9092"], sasl: { mechanism: "gssapi", secretRef: { name: "k" } } } },
      'spec.kafka.sasl.mechanism: Invalid option: expected one of "plain"|"scram-sha-256"|"scram-sha-512"',
    ],
    [
      "a duration without a unit",
      { pricing: { cacheTtl: "60" } },
      'spec.pricing.cacheTtl: expected a duration such as "90s", "1h30m" or "0s"',
    ],
    [
      "a negative duration",
      { pricing: { cacheTtl: "-1s" } },
      'spec.pricing.cacheTtl: expected a duration such as "90s", "1h30m" or "0s"',
    ],
    [
      "a duration below its limit",
      { ingest: { sources: [{ ...source, interval: "500ms" }] } },
      "spec.ingest.sources[0].interval: must be at least 1s",
    ],
    [
      "a zone that nobody knows",
      { ingest: { sources: [{ ...source, timezone: "Mars/Base" }] } },
      "spec.ingest.sources[0].timezone: expected an IANA time zone such as Europe/Madrid",
    ],
    [
      "two sources of one name",
      { ingest: { sources: [source, source] } },
      'spec.ingest.sources[1].name: "fever" is there twice',
    ],
    [
      "products from a feed without pricing",
      { ingest: { sources: [{ ...source, products: true }] } },
      "spec.ingest: a source with products: true needs the pricing section",
    ],
    [
      "a single processor",
      { payment: { processors: processors.slice(0, 1) } },
      "spec.payment.processors: expected exactly two processors, named default and fallback",
    ],
    [
      "a processor twice",
      { payment: { processors: [processors[0], processors[0]] } },
      "spec.payment.processors: expected exactly two processors, named default and fallback",
    ],
    [
      "a fee above 1",
      { payment: { processors: [{ ...processors[0], fee: "1.05" }, processors[1]] } },
      'spec.payment.processors[0].fee: must lie between "0" and "1"',
    ],
    [
      "verdicts that expire before the next probe",
      { payment: { processors, failover: { maxVerdictAge: "5s" } } },
      "spec.payment.failover.maxVerdictAge: must be longer than probeInterval",
    ],
    [
      "an interval that no timer takes",
      { payment: { processors, failover: { probeInterval: "600h", maxVerdictAge: "700h" } } },
      "spec.payment.failover.probeInterval: must be at most 24h",
    ],
    ["orders without payment", { orders: {}, pricing: {} }, "spec.orders: needs the payment section"],
    [
      "receipts in two places",
      {
        orders: {
          receipts: { directory: "/r", s3: { endpoint: "http://s", bucket: "bkt", secretRef: { name: "s" } } },
        },
        pricing: {},
        payment: { processors },
      },
      "spec.orders.receipts: give exactly one of s3 and directory",
    ],
    ["a broker without a port", { kafka: { brokers: ["kafka"] } }, 'spec.kafka.brokers[0]: expected "host:port"'],
    [
      "a gateway exposed twice",
      { gateway: { httpRoute: {}, ingress: {} } },
      "spec.gateway.ingress: give httpRoute or ingress, not both",
    ],
    [
      "retention in days",
      { partitions: { retention: { keep: "30d" } } },
      'spec.partitions.retention.keep: expected calendar months such as "24mo"',
    ],
    [
      "a sample ratio as a number",
      { telemetry: { sampleRatio: 0.1 } },
      'spec.telemetry.sampleRatio: expected a decimal string in quotes, such as "0.05"',
    ],
  ];
  test.each(refused)("refuses %s", (_, spec, problem) => {
    expect(problemsOf(spec)).toContain(problem);
  });

  test("names every problem at once, each with its line", () => {
    const text = shop
      .replace("quoteTtl: 5m", "quoteTtl: 5s\n    foo: 1")
      .replace("min: 2, max: 6", "min: 8, max: 6")
      .replace('floor: "1.00"', "floor: 1.00")
      .replace("name: shop", "name: Shop");
    const parsed = parseResource(text);
    expect(parsed.ok ? "" : formatProblems(parsed.problems)).toMatchInlineSnapshot(`
      "line 6: metadata.name: expected lower-case letters, digits and dashes, beginning and ending with a letter or digit
      line 9: spec.gateway.replicas.min: must not exceed max
      line 16: spec.pricing.quoteTtl: must be longer than cacheTtl
      line 17: spec.pricing.foo: unknown field
      line 43: spec.pricing.policy.corridor.floor: expected string, got number (put it in quotes)"
    `);
  });

  test.each([
    ["", "no PricingEngine in the file"],
    ["a: [", "Flow sequence in block collection must be sufficiently indented and end with a ]"],
    ["a: 1\na: 2", "Map keys must be unique"],
    [`${shop}\n---\n${shop}`, "one PricingEngine a file; this is another document"],
    ["kind: Deployment", "expected PricingEngine"],
  ])("refuses the file %j", (text, message) => {
    const parsed = parseResource(text);
    expect(parsed.ok ? "" : formatProblems(parsed.problems)).toContain(message);
  });

  test("takes Secrets beside it", () => {
    const parsed = parseResource(
      `apiVersion: v1\nkind: Secret\nmetadata: { name: db }\nstringData: { url: "postgres://x" }\ndata: { other: YWJj }\n---\n${shop}`,
    );
    expect(parsed.ok && parsed.secrets.get("db")).toEqual({ url: "postgres://x", other: "abc" });
  });
});
