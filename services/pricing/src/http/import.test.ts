import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { makeHttpApp, serveHttp } from "@pricing-engine/chassis/http";
import { makeLifecycle } from "@pricing-engine/chassis/lifecycle";
import { makeLogger } from "@pricing-engine/chassis/log";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeImportProducts } from "../usecases/import-products.ts";
import { mountImport } from "./import.ts";

// On a real connection: what is wrong with a stream must not take along the connection that its sender is told on.
const logger = makeLogger({ name: "test", level: "fatal" });
const lifecycle = makeLifecycle({ logger, graceMs: 1_000 });
let url: string;
beforeAll(async () => {
  const app = makeHttpApp({ logger, name: "test" });
  mountImport(app, { importProducts: makeImportProducts(async () => new Map(), { batchSize: 10 }) });
  url = `http://127.0.0.1:${(await serveHttp({ app, port: 0, lifecycle })).port}/api/v1/products:import`;
});
afterAll(() => lifecycle.shutdown("test"));

async function send(body: Buffer, encoding = "gzip"): Promise<[status: number, answer: unknown]> {
  const headers = { "content-type": "application/x-ndjson", "content-encoding": encoding };
  const answer = await fetch(url, { method: "POST", body: new Uint8Array(body), headers });
  return [answer.status, await answer.json()];
}

const line = `${JSON.stringify({ product_id: "a", name: "A seat", base_price: "1", currency: "EUR" })}\n`;
const longLine = Buffer.concat([Buffer.alloc(1024 * 1024 + 8, "x"), randomBytes(3_000_000)]);

it.each<[string, Buffer, string, number, string]>([
  ["no gzip at all", Buffer.from("not gzip"), "gzip", 400, "bad_request"],
  ["5 MB that are no gzip", Buffer.concat([Buffer.from("x"), randomBytes(5_000_000)]), "gzip", 400, "bad_request"],
  ["gzip that ends early", gzipSync(randomBytes(4096)).subarray(0, 2048), "gzip", 400, "bad_request"],
  ["gzip with something behind it", Buffer.concat([gzipSync(line), Buffer.from("more")]), "gzip", 400, "bad_request"],
  ["a compressed line above 1 MiB, with much behind it", gzipSync(longLine), "gzip", 413, "payload_too_large"],
  ["a line above 1 MiB, with much behind it", longLine, "identity", 413, "payload_too_large"],
])("an import of %s is told so, and the connection goes on", async (_, body, encoding, status, code) => {
  expect(await send(body, encoding)).toMatchObject([status, { code }]);
  expect(await send(gzipSync(line))).toMatchObject([200, { imported: 1 }]);
});
