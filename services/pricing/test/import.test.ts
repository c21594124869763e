import { gzipSync } from "node:zlib";
import { makeHttpApp } from "@pricing-engine/chassis/http";
import type { ProductImportResponse } from "@pricing-engine/contracts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mountImport } from "../src/http/import.ts";
import { mountMarketEvents } from "../src/http/market-events.ts";
import { mountProducts } from "../src/http/products.ts";
import { makeImportProducts } from "../src/usecases/import-products.ts";
import { makeTestService, readPrice, silent, type TestService } from "./support/service.ts";

type Body = string | Uint8Array<ArrayBuffer>;

let service: TestService;
let request: (method: string, path: string, body?: Body, headers?: Record<string, string>) => Promise<Response>;

beforeEach(async () => {
  service = await makeTestService();
  const app = makeHttpApp({ logger: silent, name: "test" });
  mountImport(app, { importProducts: makeImportProducts(service.writeProducts, { batchSize: 3 }) });
  mountProducts(app, service);
  mountMarketEvents(app, service);
  request = async (method, path, body, headers = {}) =>
    app.request(path, { method, headers, ...(body !== undefined && { body }) });
});

afterEach(() => service.close());

const ndjson = { "content-type": "application/x-ndjson" };
const csv = { "content-type": "text/csv" };
const line = (id: string, rest: Record<string, unknown> = {}) =>
  JSON.stringify({ product_id: id, name: "A seat", base_price: "10.00", currency: "EUR", ...rest });

async function importBody(body: Body, headers: Record<string, string>): Promise<ProductImportResponse> {
  const response = await request("POST", "/api/v1/products:import", body, headers);
  expect(response.status).toBe(200);
  return (await response.json()) as ProductImportResponse;
}

describe("an import of NDJSON", () => {
  it("takes what is good, in batches, and says of the rest which line and why", async () => {
    const lines = [
      line("a"),
      "",
      "{nonsense",
      line("b", { base_price: "-1" }),
      line("c", { surprise: 1 }),
      '{"product_id":"d","name":"\\u0000"}',
      "[".repeat(100_000),
      "null",
      line("e", { currency: "JPY", base_price: "1.5" }),
      line("f"),
      line("g"),
      line("a", { base_price: "11.00" }),
      line("h"),
    ];
    const result = await importBody(`${lines.join("\r\n")}`, ndjson);

    expect(result.imported).toBe(5);
    expect(result.rejected_total).toBe(7);
    expect(result.rejected.map((entry) => entry.line)).toEqual([3, 4, 5, 6, 7, 8, 9]);
    expect(result.rejected.find((entry) => entry.line === 4)?.detail).toMatch(/^base_price: /);
    expect((await readPrice(service.pool, "a")).price_minor).toBe(1100);
    expect((await readPrice(service.pool, "h")).price_minor).toBe(1000);
  });

  it("refuses bytes that are no UTF-8 line by line", async () => {
    const body = Buffer.concat([
      Buffer.from(`${line("a")}\n{"x":"`),
      Buffer.from([0xff, 0xfe]),
      Buffer.from(`"}\n${line("b")}`),
    ]);
    expect(await importBody(body, ndjson)).toMatchObject({
      imported: 2,
      rejected: [{ line: 2, code: "invalid_json" }],
    });
  });

  it("takes no id that no path can name", async () => {
    const result = await importBody([line(".."), line("."), line("...")].join("\n"), ndjson);
    expect(result).toMatchObject({ imported: 1, rejected: [{ line: 1 }, { line: 2 }] });
  });

  it("shows the first 1,000 rejected lines and counts them all", async () => {
    const result = await importBody("x\n".repeat(1500), ndjson);
    expect(result).toMatchObject({ imported: 0, rejected_total: 1500 });
    expect(result.rejected).toHaveLength(1000);
  });

  it("ends at a line above 1 MiB, keeping what came before", async () => {
    const body = `${line("a")}\n${line("b", { name: "x".repeat(1024 * 1024) })}\n${line("c")}\n`;
    const response = await request("POST", "/api/v1/products:import", body, ndjson);
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({
      code: "payload_too_large",
      detail: expect.stringContaining("line 2"),
    });
    expect(await service.getProduct("a")).toBeDefined();
    expect(await service.getProduct("c")).toBeUndefined();
  });

  it("may come compressed", async () => {
    const body = gzipSync(`${line("a")}\n${line("b")}\n`);
    expect(await importBody(body, { ...ndjson, "content-encoding": "gzip" })).toMatchObject({ imported: 2 });
    const broken = await request("POST", "/api/v1/products:import", body.subarray(0, 20), {
      ...ndjson,
      "content-encoding": "gzip",
    });
    expect(broken.status).toBe(400);
  });
});

describe("an import of CSV", () => {
  it("reads quoted cells, JSON in cells and absent ones", async () => {
    const body = [
      "\ufeffproduct_id,name,base_price,cost,currency,stock,list_prices,attributes",
      `a,"Seat, ""best""",10.00,,EUR,12,"[{""currency"":""EUR"",""price"":""9.00""}]","{""zone"":1}"`,
      "b,Seat,ten,,EUR,,,",
      "c,Seat,10.00,,EUR,-1,,",
      "d,Seat,10.00",
      'e,Seat,10.00,,EUR,,"[",',
      "f,Two",
      'g,"Two\nlines",5.00,1.00,EUR,,,',
    ].join("\n");
    const result = await importBody(body, csv);

    expect(result.imported).toBe(2);
    expect(result.rejected.map(({ line: number }) => number)).toEqual([3, 4, 5, 6, 7]);
    expect(await service.getProduct("a")).toMatchObject({
      name: 'Seat, "best"',
      stock: 12,
      cost: null,
      list_prices: [{ price: "9.00", segment: null }],
      attributes: { zone: 1 },
    });
    expect(await service.getProduct("g")).toMatchObject({ name: "Two\nlines", cost: "1.00" });
  });

  it.each([
    ["inside a bare cell", 'x,6" nails,1.00,EUR', [3], ["a", "b", "c"]],
    ["that closes too early", 'x,"6" nails,1.00,EUR', [3], ["a"]],
    ["that is never closed", 'x,"6 nails,1.00,EUR', [5], ["a"]],
  ])("with a quote %s keeps what stands before it", async (_, bad, lines, kept) => {
    const good = (id: string) => `${id},Seat,10.00,EUR`;
    const body = ["product_id,name,base_price,currency", good("a"), bad, good("b"), good("c")].join("\n");
    const result = await importBody(body, csv);

    expect(result.rejected.map(({ line: number }) => number)).toEqual(lines);
    expect(result).toMatchObject({ imported: kept.length, rejected_total: 1 });
    for (const id of ["a", "b", "c"]) expect((await service.getProduct(id)) !== undefined).toBe(kept.includes(id));
  });

  it("ends at a record above 1 MiB, keeping what came before", async () => {
    const body = `product_id,name,base_price,currency\na,Seat,1,EUR\nb,${"x".repeat(1024 * 1024 + 8)},1,EUR\nc,Seat,1,EUR\n`;
    const response = await request("POST", "/api/v1/products:import", body, csv);
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ detail: expect.stringMatching(/^line 3 .* 1 products before/) });
    expect(await service.getProduct("a")).toBeDefined();
    expect(await service.getProduct("c")).toBeUndefined();
  });

  it.each([
    ["an unknown column", "product_id,colour\n"],
    ["a column twice", "product_id,product_id\n"],
  ])("with %s is refused whole", async (_, body) => {
    const response = await request("POST", "/api/v1/products:import", body, csv);
    const errors = [{ pointer: "", code: "invalid_header" }];
    expect([response.status, await response.json()]).toMatchObject([400, { code: "validation_failed", errors }]);
  });
});

it("an empty import of any type imports nothing", async () => {
  expect(await importBody("", { "content-type": "text/plain" })).toMatchObject({ imported: 0, rejected_total: 0 });
});

describe("bad input", () => {
  const product = { name: "A seat", base_price: "10.00", currency: "EUR" };
  const put = (body: unknown) => ["PUT", "/api/v1/products/a", JSON.stringify(body)] as const;
  const event = (body: unknown) => ["POST", "/api/v1/publish-market-event", JSON.stringify(body)] as const;

  it.each([
    ["a product without a name", 400, put({ ...product, name: undefined })],
    ["a product of null", 400, put(null)],
    ["a price of three decimals", 400, put({ ...product, base_price: "1.001" })],
    ["a price beyond counting", 400, put({ ...product, base_price: 1e300 })],
    ["an unknown field", 400, put({ ...product, colour: "red" })],
    ["an unknown currency", 400, put({ ...product, currency: "XXQ" })],
    ["a fraction of stock", 400, put({ ...product, stock: 1.5 })],
    ["U+0000", 400, put({ ...product, name: "a\u0000" })],
    ["a lone surrogate", 400, put({ ...product, attributes: { a: "\ud800" } })],
    [
      "a number beyond counting in an attribute",
      400,
      [
        "PUT",
        "/api/v1/products/a",
        '{"name":"A","base_price":"1","currency":"EUR","attributes":{"a":[1e400]}}',
      ] as const,
    ],
    ["deep nesting", 400, ["PUT", "/api/v1/products/a", `{"attributes":${"[".repeat(5000)}`] as const],
    ["2 MiB", 413, put({ ...product, name: "x".repeat(2 * 1024 * 1024) })],
    ["an id that is too long", 400, ["PUT", `/api/v1/products/${"x".repeat(256)}`, JSON.stringify(product)] as const],
    ["a foreign cursor", 400, ["GET", "/api/v1/products?cursor=%25%25", undefined] as const],
    ["a limit of 0", 400, ["GET", "/api/v1/products?limit=0", undefined] as const],
    ["an unknown kind of event", 400, event({ type: "weather", product_id: "a" })],
    ["a demand of text", 400, event({ type: "demand", product_id: "a", demand: "2" })],
    ["an event of nobody's product", 404, event({ type: "demand", product_id: "nope", demand: 2 })],
    ["a task that is no id", 404, ["GET", "/api/v1/tasks/nonsense", undefined] as const],
    ["an import of something else", 415, ["POST", "/api/v1/products:import", "<xml/>"] as const],
    ["another path", 404, ["POST", "/api/v1/productsX", "{}"] as const],
  ])("%s is answered with %i", async (name, status, [method, path, body]) => {
    const type = name === "an import of something else" ? "text/xml" : "application/json";
    const response = await request(method, path, body, body === undefined ? {} : { "content-type": type });
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toContain("application/problem+json");
    expect(await response.json()).toMatchObject({ status, code: expect.any(String), traceId: expect.any(String) });
  });

  it.each([undefined, "{}", '{"other":1}'])("an event of %s recalculates everything", async (body) => {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const response = await request("POST", "/api/v1/publish-market-event", body, headers);
    expect(response.status).toBe(202);
    const answer = (await response.json()) as { task_id: string };
    expect(answer).toMatchObject({ status: "Event published", channel: `${service.prefix}market-events` });
    expect(await (await request("GET", `/api/v1/tasks/${answer.task_id}`)).json()).toMatchObject({
      type: "recalculate",
    });
  });
});
