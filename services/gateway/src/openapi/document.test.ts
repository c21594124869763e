import { expect, it } from "vitest";
import { z } from "zod";
import type { Operation } from "../http/operation.ts";
import { keyOperations, paymentOperations, pricingOperations } from "../http/operations.ts";
import { makeOpenApiDocument } from "./document.ts";

const document = z
  .object({ openapi: z.string(), paths: z.record(z.string(), z.record(z.string(), z.record(z.string(), z.unknown()))) })
  .parse(JSON.parse(makeOpenApiDocument()));

it("is the same each time", () => {
  expect(document.openapi).toBe("3.1.0");
  expect(makeOpenApiDocument()).toBe(makeOpenApiDocument());
});

it("describes every operation, with its answers and problems", () => {
  for (const operation of [pricingOperations, paymentOperations, keyOperations].flatMap((each): Operation[] =>
    Object.values(each),
  )) {
    const described = document.paths[operation.path]?.[operation.method.toLowerCase()];
    expect(described?.operationId).toBe(operation.id);
    const statuses = Object.keys(described?.responses ?? {});
    const expected = [...Object.keys(operation.answers), "400", "401", "403", "429", "503"];
    if (operation.method === "GET") expected.push("304");
    expect(statuses).toEqual(expect.arrayContaining(expected));
  }
});

it("names the header that makes an order's request one that may be repeated", () => {
  const { parameters } = document.paths["/orders"]?.post ?? {};
  expect(parameters).toMatchObject([{ in: "header", name: "Idempotency-Key", schema: { maxLength: 255 } }]);
});
