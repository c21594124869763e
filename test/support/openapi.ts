import { z } from "zod";

/** As much of JSON Schema as our OpenAPI document uses. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly example?: unknown;
  readonly examples?: readonly unknown[];
  readonly default?: unknown;
}

export interface Parameter {
  readonly name: string;
  readonly schema: JsonSchema;
}

/** One call of the public API, ready to be sent well or badly. */
export interface Operation {
  /** `POST /api/v1/price` */
  readonly name: string;
  readonly method: string;
  /** With the path's parameters filled in. */
  readonly target: string;
  readonly path: string;
  /** Least role; undefined: open to everybody. */
  readonly role: string | undefined;
  readonly query: readonly Parameter[];
  readonly pathParameters: readonly Parameter[];
  readonly contentType: string;
  readonly bodyRequired: boolean;
  readonly body: JsonSchema | undefined;
  /** Well-formed bodies: one for each alternative of the schema. */
  readonly variants: readonly unknown[];
  /** Follows a `$ref`. */
  resolve(schema: JsonSchema): JsonSchema;
}

const parameterSchema = z.object({
  name: z.string(),
  in: z.enum(["path", "query", "header"]),
  schema: z.custom<JsonSchema>(),
});
const operationSchema = z.object({
  parameters: z.array(parameterSchema).default([]),
  requestBody: z
    .object({
      required: z.boolean().default(false),
      content: z.record(z.string(), z.object({ schema: z.custom<JsonSchema>() })),
    })
    .optional(),
  "x-role": z.string().optional(),
});
const documentSchema = z.object({
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
  components: z.object({ schemas: z.record(z.string(), z.custom<JsonSchema>()) }),
});

// The document tells all calls; without their sections these are 404.
const pathsOfSections = {
  ingest: ["/search", "/api/v1/sources"],
  payment: ["/payments", "/payments/{correlationId}", "/payments-summary", "/purge-payments"],
  orders: ["/orders", "/orders/{order_id}", "/orders/{order_id}/cancel", "/api/v1/inventory/{product_id}"],
} as const;

/** Every call of the running gateway's own document, so that what is added there is tested without a word here. */
export async function readOperations(
  url: string,
  /** Sections that the engine runs beside pricing. */
  run: readonly (keyof typeof pathsOfSections)[] = [],
): Promise<readonly Operation[]> {
  const answer = await fetch(`${url}/openapi.json`);
  const { paths, components } = documentSchema.parse(await answer.json());
  const resolve = (schema: JsonSchema): JsonSchema => {
    if (schema.$ref === undefined) return schema;
    const { $ref, ...beside } = schema;
    const found = components.schemas[$ref.split("/").at(-1) ?? ""];
    if (found === undefined) throw new Error(`${$ref} is not in the document`);
    return { ...resolve(found), ...beside };
  };
  const left = new Set(
    Object.entries(pathsOfSections)
      .filter(([section]) => !run.some((each) => each === section))
      .flatMap(([, each]) => [...each]) as string[],
  );
  const open = Object.entries(paths).filter(([path]) => !left.has(path));
  return open.flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { parameters, requestBody, "x-role": role }]): Operation[] => {
      const of = (where: string) => parameters.filter((each) => each.in === where);
      const target = of("path").reduce(
        (text, { name, schema }) => text.replace(`{${name}}`, encodeURIComponent(String(sample(schema, resolve)))),
        path,
      );
      const common = {
        method: method.toUpperCase(),
        target,
        path,
        role,
        query: of("query"),
        pathParameters: of("path"),
        resolve,
      };
      const contents = Object.entries(requestBody?.content ?? {}).filter(([type]) => type !== "text/csv");
      const name = `${common.method} ${path}`;
      if (contents.length === 0) {
        const none = { contentType: "application/json", bodyRequired: false, body: undefined, variants: [] };
        return [{ ...common, ...none, name }];
      }
      return contents.map(([contentType, { schema }]) => {
        const body = resolve(schema);
        const variants = alternatives(body, resolve).map((each) => sample(each, resolve));
        return { ...common, name, contentType, bodyRequired: requestBody?.required ?? false, body, variants };
      });
    }),
  );
}

export function alternatives(schema: JsonSchema, resolve: (schema: JsonSchema) => JsonSchema): readonly JsonSchema[] {
  const found = resolve(schema);
  const choices = found.oneOf ?? found.anyOf;
  return choices === undefined ? [found] : choices.flatMap((choice) => alternatives(choice, resolve));
}

/** A value that fits: the schema's own example, else one with every field that there is. */
export function sample(schema: JsonSchema, resolve: (schema: JsonSchema) => JsonSchema): unknown {
  const found = resolve(schema);
  if (found.const !== undefined) return found.const;
  if (found.examples?.[0] !== undefined && found.oneOf === undefined) return found.examples[0];
  if (found.properties !== undefined && found.oneOf === undefined && found.anyOf === undefined) {
    const entries = Object.entries(found.properties).map(([name, each]) => [name, sample(each, resolve)]);
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  }
  if (found.example !== undefined) return found.example;
  if (found.enum !== undefined) return found.enum[0];
  const choices = found.oneOf ?? found.anyOf;
  if (choices?.[0] !== undefined) return sample(choices[0], resolve);
  switch (typesOf(found, resolve)[0]) {
    case "string":
      return "x".repeat(Math.max(1, found.minLength ?? 1));
    case "integer":
    case "number":
      return found.minimum ?? 1;
    case "boolean":
      return true;
    case "array":
      return found.items === undefined ? [] : [sample(found.items, resolve)];
    case "object":
      return {};
    default:
      return undefined;
  }
}

/** JSON types that a schema allows; empty: any. */
export function typesOf(schema: JsonSchema, resolve: (schema: JsonSchema) => JsonSchema): readonly string[] {
  const found = resolve(schema);
  const choices = found.oneOf ?? found.anyOf;
  if (choices !== undefined) return [...new Set(choices.flatMap((choice) => typesOf(choice, resolve)))];
  if (found.type !== undefined) return typeof found.type === "string" ? [found.type] : found.type;
  if (found.const !== undefined) return [found.const === null ? "null" : typeof found.const];
  if (found.enum !== undefined) return [...new Set(found.enum.map((value) => typeof value))];
  return [];
}
