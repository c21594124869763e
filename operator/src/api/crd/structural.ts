/**
 * JSON Schema as zod writes it → the structural schema of a CustomResourceDefinition. Structural means: one type for
 * each node, no references, no unions (but int-or-string), and nothing closed: unknown fields are pruned, and kubectl
 * refuses them beforehand.
 */
export interface SchemaNode {
  readonly [key: string]: unknown;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly additionalProperties?: boolean | SchemaNode;
}

/** As in Kubernetes' own CRDs. */
const quantityPattern =
  "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$";

const copied = [
  "description",
  "default",
  "enum",
  "format",
  "nullable",
  "pattern",
  "minimum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "required",
  "x-kubernetes-validations",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-preserve-unknown-fields",
] as const;

/** @throws on what a structural schema cannot say. */
export function toStructural(node: SchemaNode, path = ""): SchemaNode {
  for (const key of ["$ref", "anyOf", "oneOf", "allOf", "not"]) {
    if (key in node) throw new Error(`${path}: ${key} has no place in a structural schema`);
  }
  const result: Record<string, unknown> = {};
  for (const key of copied) {
    if (node[key] !== undefined) result[key] = node[key];
  }
  if (isQuantity(node)) {
    return { ...result, "x-kubernetes-int-or-string": true, pattern: quantityPattern };
  }
  if (typeof node.type !== "string") throw new Error(`${path}: needs one type`);
  result.type = node.type;
  if (typeof node.exclusiveMinimum === "number") {
    Object.assign(result, { minimum: node.exclusiveMinimum, exclusiveMinimum: true });
  }
  // zod bounds every integer by what a double holds exactly; that is noise.
  if (typeof node.maximum === "number" && node.maximum !== Number.MAX_SAFE_INTEGER) result.maximum = node.maximum;
  if (result.minimum === Number.MIN_SAFE_INTEGER) delete result.minimum;
  if (node.properties !== undefined) {
    result.properties = Object.fromEntries(
      Object.entries(node.properties).map(([name, child]) => [name, toStructural(child, `${path}.${name}`)]),
    );
  } else if (typeof node.additionalProperties === "object") {
    if (Object.keys(node.additionalProperties).length === 0) result["x-kubernetes-preserve-unknown-fields"] = true;
    else result.additionalProperties = toStructural(node.additionalProperties, `${path}.*`);
  }
  if (node.items !== undefined) result.items = toStructural(node.items, `${path}[]`);
  return withWholeDefault(result);
}

/**
 * A section that fills itself in has the default `{}`; the API server checks a default by the rules before it fills in
 * what is below, and would miss the fields that a rule reads. So a default is written out.
 */
function withWholeDefault(node: SchemaNode): SchemaNode {
  const { default: own, properties } = node;
  if (properties === undefined || typeof own !== "object") return node;
  const inner = Object.entries(properties).filter(([, child]) => child.default !== undefined);
  return { ...node, default: { ...Object.fromEntries(inner.map(([name, child]) => [name, child.default])), ...own } };
}

/** Quantities may be written as numbers. The only union of the resource. */
function isQuantity({ type }: SchemaNode): boolean {
  return Array.isArray(type) && type.length === 2 && type.includes("string") && type.includes("number");
}

/**
 * Adds to the node at a path such as `spec.payment.processors` or `spec.ingest.sources[]`.
 * @throws when there is no such node: a renamed field must not lose its rules.
 */
export function amend(root: SchemaNode, path: string, more: Readonly<Record<string, unknown>>): SchemaNode {
  const [head, ...rest] = path.split(/\.|(?=\[\])/).filter((part) => part !== "");
  if (head === undefined) {
    const rules = [root["x-kubernetes-validations"], more["x-kubernetes-validations"]].flatMap((list) => list ?? []);
    return { ...root, ...more, ...(rules.length === 0 ? {} : { "x-kubernetes-validations": rules }) };
  }
  const tail = rest.join(".").replaceAll(".[]", "[]");
  if (head === "[]" && root.items !== undefined) return { ...root, items: amend(root.items, tail, more) };
  const child = root.properties?.[head];
  if (child === undefined) throw new Error(`no field ${path}`);
  return { ...root, properties: { ...root.properties, [head]: amend(child, tail, more) } };
}
