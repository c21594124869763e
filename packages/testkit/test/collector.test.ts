import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { startOtlpCollector } from "../src/index.ts";

const body = JSON.stringify({
  resourceSpans: [
    {
      resource: { attributes: [{ key: "service.name", value: { stringValue: "pricing" } }] },
      scopeSpans: [
        {
          scope: { name: "test" },
          spans: [
            {
              traceId: "0af7651916cd43dd8448eb211c80319c",
              spanId: "b7ad6b7169203331",
              name: "GET /price",
              kind: 2,
              startTimeUnixNano: "1700000000000000001",
              endTimeUnixNano: "1700000000000000009",
              attributes: [
                { key: "http.status", value: { intValue: "200" } },
                { key: "cached", value: { boolValue: true } },
              ],
              links: [{ traceId: "1af7651916cd43dd8448eb211c80319c", spanId: "c7ad6b7169203331" }],
              status: { code: 2 },
            },
          ],
        },
      ],
    },
  ],
});

it.each([
  ["plain", body, {}],
  ["gzip", gzipSync(body), { "content-encoding": "gzip" }],
])("collects spans from a %s body", async (_name, content, headers) => {
  await using collector = await startOtlpCollector();
  const response = await fetch(`${collector.endpoint}/v1/traces`, { method: "POST", body: content, headers });
  expect(response.status).toBe(200);
  expect(collector.spans()).toEqual([
    {
      traceId: "0af7651916cd43dd8448eb211c80319c",
      spanId: "b7ad6b7169203331",
      parentSpanId: undefined,
      name: "GET /price",
      kind: "server",
      serviceName: "pricing",
      attributes: { "http.status": 200, cached: true },
      links: [{ traceId: "1af7651916cd43dd8448eb211c80319c", spanId: "c7ad6b7169203331" }],
      status: "error",
      startUnixNanos: 1_700_000_000_000_000_001n,
      endUnixNanos: 1_700_000_000_000_000_009n,
    },
  ]);
});

it("refuses what is not a trace", async () => {
  await using collector = await startOtlpCollector();
  const response = await fetch(`${collector.endpoint}/v1/traces`, { method: "POST", body: '{"resourceSpans": 1}' });
  expect(response.status).toBe(400);
  expect(collector.spans()).toEqual([]);
});
