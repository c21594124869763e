import { z } from "zod";
import { resourceSchema } from "../resource.ts";
import type { SchemaNode } from "./structural.ts";

/**
 * values.schema.json of charts/pricing-engine: `helm install` refuses a wrong spec by field, before the API server sees it.
 * Null takes a section of the chart's own values away.
 */
export function renderValuesSchema(): string {
  const whole = z.toJSONSchema(resourceSchema, { io: "input", target: "draft-7" }) as SchemaNode;
  const spec = whole.properties?.spec ?? {};
  const sections = Object.entries(spec.properties ?? {}).map(([name, schema]) => [
    name,
    { anyOf: [schema, { type: "null" }] },
  ]);
  const text = { type: "string" };
  const object = (properties: object) => ({ type: "object", additionalProperties: false, properties });
  return JSON.stringify({
    $schema: "http://json-schema.org/draft-07/schema#",
    ...object({
      global: { type: "object" },
      name: { ...text, maxLength: 40, pattern: "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$" },
      labels: { type: "object", additionalProperties: text },
      annotations: { type: "object", additionalProperties: text },
      devInfra: { type: "boolean" },
      spec: { ...spec, properties: Object.fromEntries(sections) },
      nodePort: object({ enabled: { type: "boolean" }, port: { type: "integer", minimum: 30000, maximum: 32767 } }),
      test: object({ image: text }),
    }),
  });
}
