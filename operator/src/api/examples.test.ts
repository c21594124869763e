import { readFileSync } from "node:fs";
import {
  marketEventRequest,
  priceBatchRequest,
  priceRequest,
  productImportLine,
  productInput,
  simulationRequest,
} from "@pricing-engine/contracts";
import { describe, expect, test } from "vitest";

const read = (name: string) => readFileSync(new URL(`../../../examples/${name}`, import.meta.url), "utf8");

describe("examples", () => {
  test.each([
    ["price.json", priceRequest],
    ["price-member.json", priceRequest],
    ["prices-batch.json", priceBatchRequest],
    ["demand-event.json", marketEventRequest],
    ["competitor-event.json", marketEventRequest],
    ["product.json", productInput],
    ["simulation.json", simulationRequest],
  ])("requests/%s fits its schema", (name, schema) => {
    expect(schema.safeParse(JSON.parse(read(`requests/${name}`))).error).toBeUndefined();
  });

  test("products.ndjson holds distinct products, PROD-001 at 10.00 among them", () => {
    const lines = read("products.ndjson").trimEnd().split("\n");
    const products = lines.map((line) => productImportLine.parse(JSON.parse(line)));
    expect(new Set(products.map((product) => product.product_id)).size).toBe(products.length);
    expect(products.find((product) => product.product_id === "PROD-001")).toMatchObject({
      base_price: "10.00",
      stock: 1000,
    });
    expect(products.find((product) => product.product_id === "291-291-40")).toMatchObject({
      base_price: "20.00",
      stock: 243,
    });
  });
});
