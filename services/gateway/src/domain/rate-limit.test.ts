import { rateLimitSettings } from "@pricing-engine/contracts";
import { expect, it } from "vitest";
import { isLimited, limitOf, rateLimitHeaders } from "./rate-limit.ts";

const settings = rateLimitSettings.parse({
  routes: ["POST /api/v1/price", "/api/v1/products"],
  tenants: [{ name: "acme", capacity: 5, refillPerSecond: 1 }],
});

it.each([
  ["POST", "/orders", true],
  ["GET", "/orders", false],
  ["POST", "/api/v1/price", true],
  ["GET", "/api/v1/products", true],
  ["PUT", "/api/v1/products/{product_id}", false],
])("limits %s %s: %s", (method, path, limited) => {
  expect(isLimited(settings, method, path)).toBe(limited);
});

it("gives a tenant its own bucket, others the common one", () => {
  expect(limitOf(settings, "acme")).toEqual({ capacity: 5, refillPerSecond: 1 });
  expect(limitOf(settings, "other")).toEqual({ capacity: 100, refillPerSecond: 10 });
});

it("states quota, window, what is left and when it is full again", () => {
  expect(rateLimitHeaders({ capacity: 100, refillPerSecond: 10 }, 40)).toEqual({
    "ratelimit-policy": '"tenant";q=100;w=10',
    ratelimit: '"tenant";r=40;t=6',
  });
  expect(rateLimitHeaders({ capacity: 3, refillPerSecond: 0 }, 0)).toEqual({
    "ratelimit-policy": '"tenant";q=3',
    ratelimit: '"tenant";r=0',
  });
});
