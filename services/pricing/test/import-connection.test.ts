import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RunningPricing, startPricing } from "./support/processes.ts";

// On a real connection: what is wrong with a stream must not take along the connection that its sender is told on.
let pricing: RunningPricing;
beforeAll(async () => {
  pricing = await startPricing();
}, 120_000);
afterAll(() => pricing?.[Symbol.asyncDispose]());

const longLine = Buffer.concat([Buffer.alloc(1024 * 1024 + 8, "x"), randomBytes(3_000_000)]);

it.each([
  ["no gzip at all", Buffer.from("not gzip"), 400, "bad_request"],
  ["gzip that ends early", gzipSync(randomBytes(4096)).subarray(0, 2048), 400, "bad_request"],
  ["a line above 1 MiB, with much behind it", gzipSync(longLine), 413, "payload_too_large"],
])("an import of %s is told so", async (_, body, status, code) => {
  const headers = { "content-type": "application/x-ndjson", "content-encoding": "gzip" };
  const response = await fetch(`${pricing.api.url}/api/v1/products:import`, { method: "POST", body, headers });
  expect([response.status, await response.json()]).toMatchObject([status, { code }]);
});
