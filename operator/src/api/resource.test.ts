import { expect, test } from "vitest";
import { z } from "zod";
import { resourceSchema } from "./resource.ts";

interface Node {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
}

function findUndescribed(node: Node, path: string): string[] {
  const inner = Object.entries(node.properties ?? {}).flatMap(([name, child]) => [
    ...(child.description === undefined ? [`${path}.${name}`] : []),
    ...findUndescribed(child, `${path}.${name}`),
  ]);
  return node.items === undefined ? inner : [...inner, ...findUndescribed(node.items, `${path}[]`)];
}

test("every field of the spec has a description", () => {
  const schema = z.toJSONSchema(resourceSchema, { io: "input" }) as Node;
  expect(findUndescribed(schema, "").filter((path) => path !== ".spec.pricing.policy")).toEqual([]);
});
