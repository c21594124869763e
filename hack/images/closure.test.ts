import { join } from "node:path";
import { expect, it } from "vitest";
import { closureOf, isShipped } from "./closure.ts";

const root = join(import.meta.dirname, "..", "..");
const { packages, stored } = closureOf(root, ["services/gateway"]);

it("finds the packages of the workspace that a service needs, and theirs", () => {
  expect(packages).toEqual(expect.arrayContaining(["services/gateway", "packages/chassis", "packages/price-cache"]));
  expect(packages).not.toContain("packages/testkit");
});

it("finds what comes from the registry, through other packages too, without tools", () => {
  expect(stored.filter((name) => /^(?:hono|kafkajs|redis-errors)@/.test(name))).toHaveLength(3);
  expect(stored.filter((name) => /^(?:vitest|esbuild|typescript|fast-check)@/.test(name))).toEqual([]);
});

it.each([
  ["services/gateway/src/app.ts", true],
  ["services/gateway/src/app.test.ts", false],
  ["services/gateway/test", false],
])("ships %s: %s", (path, shipped) => {
  expect(isShipped(path)).toBe(shipped);
});
