import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Engine, startEngine } from "../support/engine.ts";
import { faultsOf, refused, taken, wellFormed } from "../support/judge.ts";
import { bodyMutations, type Case, fieldMutations, parameterMutations } from "../support/malform.ts";
import { type Operation, readOperations } from "../support/openapi.ts";

const ndjson = "application/x-ndjson";
let engine: Engine;
let operations: readonly Operation[];

beforeAll(async () => {
  engine = await startEngine();
  operations = await readOperations(engine.url);
  // What the examples of the document name.
  await engine.client.put("concert-42-stalls");
});
afterAll(() => engine?.[Symbol.asyncDispose]());

it("finds calls with bodies, queries and path parameters in the document", () => {
  expect(operations.filter(({ body }) => body !== undefined).length).toBeGreaterThanOrEqual(6);
  expect(operations.filter(({ query }) => query.length > 0).length).toBeGreaterThanOrEqual(3);
});

it("takes the well-formed request that each case is made from", async () => {
  expect(await faultsOf(engine.client, wellFormed(operations), taken)).toEqual([]);
});

describe("refuses with the offending field, and never fails", () => {
  it("bodies that are not what the call takes", async () => {
    const cases = operations.filter(({ contentType }) => contentType !== ndjson).flatMap(bodyMutations);
    expect(cases.length).toBeGreaterThan(50);
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });

  it("each field missing, null, of another type, out of its range, or unknown", async () => {
    const cases = operations.filter(({ contentType }) => contentType !== ndjson).flatMap(fieldMutations);
    expect(cases.length).toBeGreaterThan(200);
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });

  it("queries and paths", async () => {
    const cases = operations.flatMap(parameterMutations);
    expect(cases.length).toBeGreaterThan(30);
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });

  it("lines of an import, the others being imported", async () => {
    const good = JSON.stringify({ product_id: "a-good-line", name: "Good", base_price: "1.00", currency: "EUR" });
    const lines = operations.filter(({ contentType }) => contentType === ndjson).flatMap(fieldMutations);
    expect(lines.length).toBeGreaterThan(40);
    const cases = lines.map((each) => ({ ...each, raw: `${good}\n${each.raw?.toString()}\n${good}\n` }));
    const faults = await faultsOf(engine.client, cases, ({ status, body }) => {
      const {
        imported,
        rejected,
        rejected_total: total,
      } = body as {
        imported: number;
        rejected: { line: number }[];
        rejected_total: number;
      };
      return status === 200 && imported === 2 && total === 1 && rejected[0]?.line === 2
        ? undefined
        : "not one rejected";
    });
    expect(faults).toEqual([]);
  });

  it("calls that do not exist", async () => {
    const cases: Case[] = [
      { name: "unknown path", method: "GET", target: "/api/v1/nope", status: 404 },
      { name: "letters after a call", method: "POST", target: "/api/v1/pricesX", status: 404 },
      { name: "method", method: "DELETE", target: "/api/v1/price", status: 405 },
      { name: "trace method", method: "TRACE", target: "/api/v1/price", status: 405 },
      { name: "a section that is not run", method: "POST", target: "/orders", raw: "{}", status: 404 },
    ];
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });
});
