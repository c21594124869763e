import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Engine, startEngine } from "../support/engine.ts";
import { faultsOf, refused, taken, wellFormed } from "../support/judge.ts";
import { bodyMutations, type Case, fieldMutations, parameterMutations } from "../support/malform.ts";
import { type Operation, readOperations } from "../support/openapi.ts";

const id = "4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3";
let engine: Engine;
let operations: readonly Operation[];

beforeAll(async () => {
  engine = await startEngine({ pricing: false, payment: {} });
  const known = new Set((await readOperations(engine.url)).map(({ name }) => name));
  operations = (await readOperations(engine.url, ["payment"])).filter(({ name }) => !known.has(name));
});
afterAll(() => engine?.[Symbol.asyncDispose]());

it("finds the calls of payments in the document, and takes them as they should be", async () => {
  expect(operations.map(({ name }) => name).sort()).toEqual([
    "GET /payments-summary",
    "GET /payments/{correlationId}",
    "POST /payments",
    "POST /purge-payments",
  ]);
  expect(await faultsOf(engine.client, wellFormed(operations), taken)).toEqual([]);
});

describe("refuses with the offending field, and never fails", () => {
  it("bodies that are not what the call takes", async () => {
    const cases = operations.flatMap(bodyMutations);
    expect(cases.length).toBeGreaterThan(15);
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });

  it("each field missing, null, of another type or out of its range", async () => {
    const cases = operations.flatMap(fieldMutations);
    expect(cases.length).toBeGreaterThan(15);
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });

  it("queries and paths", async () => {
    const cases = operations.flatMap(parameterMutations);
    expect(cases.length).toBeGreaterThan(12);
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });

  // Each of them twice: as it comes straight from a client's library, and with an escape, which takes the longer way through the gateway.
  it.each(["correlationId", "correlation\\u0049d"])("ids and amounts, the id's field written %s", async (field) => {
    const of = (what: string, idJson: string, amountJson: string, pointer: string): Case => {
      const raw = `{"${field}":${idJson},"amount":${amountJson}}`;
      const headers = { "content-type": "application/json" };
      return { name: `${what} ${raw}`, method: "POST", target: "/payments", raw, headers, pointer };
    };
    const ids = [
      "",
      "0",
      id.slice(1),
      `${id}0`,
      ` ${id}`,
      `${id} `,
      `${id}\\n`,
      `{${id}}`,
      `urn:uuid:${id}`,
      id.replaceAll("-", ""),
      id.replaceAll("-", "_"),
      id.replace("-", ""),
      id.replace("4a", "4g"),
      id.replace("4a", "\u0664a"),
      id.replaceAll("-", "\u2010"),
    ];
    const amounts = [
      ...[
        "-0.01",
        "-1",
        "-1e7",
        "0",
        "-0",
        "0.0",
        "0e5",
        "1e-7",
        "0.001",
        "0.009",
        "1.001",
        "19.999",
        "0.30000000000000004",
      ],
      ...["10000000.01", "10000001", "1e8", "1e308", "1e309", "-1e309", "9007199254740993", "1".repeat(400)],
      ...['"19.90"', '"1"', '""', "null", "true", "false", "[]", "[1]", "{}", '{"value":1}'],
    ];
    const cases = [
      ...ids.map((text) => of("id", `"${text}"`, "1", "/correlationId")),
      ...["7", "null", "true", "[]", "{}", `["${id}"]`].map((json) => of("id", json, "1", "/correlationId")),
      ...amounts.map((json) => of("amount", `"${id}"`, json, "/amount")),
      // No JSON: nobody can say which field is meant.
      ...["NaN", "Infinity", "-Infinity", "1,5", "0x10", "01", ".5", "5.", "+1", "1_000", "'1'", ""].map((text) =>
        of("amount", `"${id}"`, text, ""),
      ),
    ];
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });

  it("ids in the path", async () => {
    const cases = [
      "x",
      "null",
      id.slice(1),
      `${id}0`,
      id.replaceAll("-", ""),
      `%20${id}`,
      `${id}%0a`,
      `%7B${id}%7D`,
    ].map((text): Case => ({ name: text, method: "GET", target: `/payments/${text}`, pointer: ":correlationId" }));
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });

  it("windows", async () => {
    const times = [
      ...[
        "",
        "now",
        "yesterday",
        "1769860800",
        "1769860800000",
        "NaN",
        "null",
        "2026",
        "2026-01",
        "2026-01-31",
        "12:00:00Z",
      ],
      // Without a zone, and with what is none.
      ...["2026-01-31T12:00:00", "2026-01-31T12:00:00.123", "2026-01-31T12:00:00+2", "2026-01-31T12:00:00%2B99:99"],
      ...["2026-01-31T12:00:00%2B24:00", "2026-01-31T12:00:00 CET", "2026-01-31T12:00:00+01:00"],
      // Days and hours that there are not.
      ...["2026-02-29T12:00:00Z", "2026-13-01T12:00:00Z", "2026-00-10T12:00:00Z", "2026-01-32T12:00:00Z"],
      ...["2026-01-31T24:00:00Z", "2026-01-31T12:60:00Z", "2026-01-31T12:00:61Z", "12026-01-31T12:00:00Z"],
      ...["2026-01-31 12:00:00Z", "31.01.2026T12:00:00Z", "Sat, 31 Jan 2026 12:00:00 GMT", "2026-01-31T12:00:00Z%00"],
    ];
    const of = (name: string, query: string, pointer: string): Case => ({
      name,
      method: "GET",
      target: `/payments-summary?${query}`,
      pointer,
    });
    const cases = [
      ...times.flatMap((time) => [of(`from ${time}`, `from=${time}`, "?from"), of(`to ${time}`, `to=${time}`, "?to")]),
      of("the wrong way round", "from=2026-01-31T12:00:01Z&to=2026-01-31T12:00:00Z", "?to"),
      of("the wrong way round by their zones", "from=2026-01-31T12:00:00Z&to=2026-01-31T12:59:59%2B01:00", "?to"),
      of("two of them", "from=2026-01-31T12:00:00Z&from=2026-01-31T12:00:00Z", "?from"),
      of("a slip of the pen", "form=2026-01-31T12:00:00Z", "?form"),
    ];
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });

  it("methods, and a purge that nobody allowed", async () => {
    const cases: Case[] = [
      { name: "GET /payments", method: "GET", target: "/payments", status: 405 },
      { name: "PUT /payments", method: "PUT", target: "/payments", raw: "{}", status: 405 },
      { name: "DELETE of a payment", method: "DELETE", target: `/payments/${id}`, status: 405 },
      { name: "POST of the summary", method: "POST", target: "/payments-summary", raw: "{}", status: 405 },
      { name: "GET of the purge", method: "GET", target: "/purge-payments", status: 405 },
      { name: "purge", method: "POST", target: "/purge-payments", status: 403 },
      { name: "no such payment", method: "GET", target: `/payments/${crypto.randomUUID()}`, status: 404 },
    ];
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });
});
