import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Answer, CallOptions } from "../support/client.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { bodyMutations, type Case, fieldMutations, parameterMutations } from "../support/malform.ts";
import { type Operation, readOperations } from "../support/openapi.ts";
import { findContractFault, type Problem } from "../support/problem.ts";

let engine: Engine;
let operations: readonly Operation[];

beforeAll(async () => {
  engine = await startEngine();
  operations = await readOperations(engine.url);
  // What the examples of the document name.
  await engine.client.put("concert-42-stalls");
});
afterAll(() => engine?.[Symbol.asyncDispose]());

const ndjson = "application/x-ndjson";

/** Runs the cases, some at a time, and gives back what is wrong with the answers. */
async function faultsOf(cases: readonly Case[], judge: (answer: Answer, each: Case) => string | undefined) {
  const faults: string[] = [];
  const waiting = [...cases];
  const run = async (): Promise<void> => {
    for (let each = waiting.shift(); each !== undefined; each = waiting.shift()) {
      const answer = await send(each);
      const fault = judge(answer, each);
      if (fault !== undefined) faults.push(`${each.name}: ${fault}; got ${answer.status} ${detailOf(answer)}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, run));
  return faults;
}

function detailOf({ body, text }: Answer): string {
  return String((body as Partial<Problem> | undefined)?.detail ?? text).slice(0, 120);
}

function send({ method, target, raw, headers }: Case): Promise<Answer> {
  const options: CallOptions = { ...(raw === undefined ? {} : { raw }), ...(headers === undefined ? {} : { headers }) };
  return engine.client.call(method, target, options);
}

/** A 4xx by the contract that names the offending field (or one that holds it, where no single one is to blame). */
function refused(answer: Answer, { status = 400, orStatus, pointer }: Case): string | undefined {
  if (answer.status !== status && answer.status !== orStatus) return `expected ${status}`;
  const fault = findContractFault(answer);
  if (fault !== undefined || pointer === undefined) return fault;
  const { errors = [] } = answer.body as Problem;
  const named = errors.map((error) => error.pointer);
  return named.some(
    (at) => at === pointer || at.startsWith(`${pointer}/`) || (at !== "" && pointer.startsWith(`${at}/`)),
  )
    ? undefined
    : `names ${named.join(" ").slice(0, 80)}`;
}

it("finds calls with bodies, queries and path parameters in the document", () => {
  expect(operations.filter(({ body }) => body !== undefined).length).toBeGreaterThanOrEqual(6);
  expect(operations.filter(({ query }) => query.length > 0).length).toBeGreaterThanOrEqual(3);
});

it("takes the well-formed request that each case is made from", async () => {
  const cases = operations.flatMap((operation) =>
    operation.variants.map((value) => ({
      name: `${operation.name} as it should be`,
      method: operation.method,
      target: operation.target,
      raw: JSON.stringify(value),
      headers: { "content-type": operation.contentType },
    })),
  );
  const faults = await faultsOf(cases, ({ status }) =>
    status === 400 || status === 413 || status === 415 || status >= 500 ? "refused" : undefined,
  );
  expect(faults).toEqual([]);
});

describe("refuses with the offending field, and never fails", () => {
  it("bodies that are not what the call takes", async () => {
    const cases = operations.filter(({ contentType }) => contentType !== ndjson).flatMap(bodyMutations);
    expect(cases.length).toBeGreaterThan(50);
    expect(await faultsOf(cases, refused)).toEqual([]);
  });

  it("each field missing, null, of another type, out of its range, or unknown", async () => {
    const cases = operations.filter(({ contentType }) => contentType !== ndjson).flatMap(fieldMutations);
    expect(cases.length).toBeGreaterThan(200);
    expect(await faultsOf(cases, refused)).toEqual([]);
  });

  it("queries and paths", async () => {
    const cases = operations.flatMap(parameterMutations);
    expect(cases.length).toBeGreaterThan(30);
    expect(await faultsOf(cases, refused)).toEqual([]);
  });

  it("lines of an import, the others being imported", async () => {
    const good = JSON.stringify({ product_id: "a-good-line", name: "Good", base_price: "1.00", currency: "EUR" });
    const lines = operations.filter(({ contentType }) => contentType === ndjson).flatMap(fieldMutations);
    expect(lines.length).toBeGreaterThan(40);
    const cases = lines.map((each) => ({ ...each, raw: `${good}\n${each.raw?.toString()}\n${good}\n` }));
    const faults = await faultsOf(cases, ({ status, body }) => {
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
    expect(await faultsOf(cases, refused)).toEqual([]);
  });
});
