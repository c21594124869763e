import { describe, expect, it } from "vitest";
import { makeCrd, makeOpenApiSchema } from "./crd.ts";
import { amend, type SchemaNode, toStructural } from "./structural.ts";

interface Located {
  readonly path: string;
  readonly node: SchemaNode;
}

function walk(node: SchemaNode, path = ""): Located[] {
  const children = Object.entries(node.properties ?? {}).flatMap(([name, child]) => walk(child, `${path}.${name}`));
  const { additionalProperties, items } = node;
  return [
    { path, node },
    ...children,
    ...(items === undefined ? [] : walk(items, `${path}[]`)),
    ...(typeof additionalProperties === "object" ? walk(additionalProperties, `${path}.*`) : []),
  ];
}

const nodes = walk(makeOpenApiSchema());
const fields = nodes.filter(({ path }) => !path.endsWith(".*") && path !== ".metadata");

describe("the CRD", () => {
  it("describes every field", () => {
    expect(fields.filter(({ node }) => (node.description ?? "") === "").map(({ path }) => path)).toEqual([]);
  });

  it("is structural: one type each, nothing closed", () => {
    const wrong = nodes.filter(
      ({ node }) =>
        (node["x-kubernetes-int-or-string"] === true ? node.type !== undefined : typeof node.type !== "string") ||
        node.additionalProperties === false ||
        (node.properties !== undefined && node.additionalProperties !== undefined),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it("bounds every list and every text that a rule reads, for a rule's cost is reckoned from the largest", () => {
    const unbounded = nodes.filter(({ node }) => node.type === "array" && node.maxItems === undefined);
    expect(unbounded.map(({ path }) => path)).toEqual([]);
    const judged = nodes.filter(({ node }) => node.type === "string" && node["x-kubernetes-validations"] !== undefined);
    expect(judged.filter(({ node }) => node.maxLength === undefined).map(({ path }) => path)).toEqual([]);
  });

  it("merges lists of named things by their names", () => {
    const named = nodes.filter(({ node }) => node.items?.properties?.name !== undefined && node.type === "array");
    const merged = named.filter(({ node }) => node["x-kubernetes-list-type"] === "map").map(({ path }) => path);
    expect(merged).toEqual([
      ".spec.image.pullSecrets",
      ".spec.gateway.rateLimit.tenants",
      ".spec.pricing.policy.market",
      ".spec.pricing.policy.customer",
      ".spec.ingest.sources",
      ".spec.payment.processors",
    ]);
  });

  it("can be asked for by its short name and with `all`", () => {
    const { names, versions } = makeCrd().spec;
    expect(names).toMatchObject({ shortNames: ["pe"], categories: ["all"], plural: "pricingengines" });
    expect(
      versions[0]?.additionalPrinterColumns.filter(({ priority }) => priority !== 1).map(({ name }) => name),
    ).toEqual(["Ready", "Route", "Workers", "Lag", "Partitions Until", "Age"]);
  });
});

describe("toStructural", () => {
  it("refuses what a structural schema cannot say", () => {
    expect(() => toStructural({ anyOf: [{ type: "string" }, { type: "object" }] }, "spec.x")).toThrow("spec.x: anyOf");
    expect(() => toStructural({ type: ["string", "null"] }, "spec.x")).toThrow("spec.x: needs one type");
  });

  it("writes a section's default out, since the API server judges it as it stands", () => {
    const port = { type: "integer", default: 1 };
    const inner = { type: "object", default: {}, properties: { port, name: { type: "string" } } };
    const outer = { type: "object", default: {}, properties: { inner } };
    expect(toStructural(outer).default).toEqual({ inner: { port: 1 } });
    expect(toStructural({ ...inner, default: { port: 2 } }).default).toEqual({ port: 2 });
  });

  it("writes an exclusive bound as OpenAPI 3.0 does", () => {
    expect(toStructural({ type: "number", exclusiveMinimum: 0 })).toEqual({
      type: "number",
      minimum: 0,
      exclusiveMinimum: true,
    });
  });
});

it("amend refuses a field that is not there", () => {
  expect(() => amend({ type: "object", properties: {} }, "spec.gone", {})).toThrow("no field spec.gone");
});
