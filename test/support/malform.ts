import { alternatives, type JsonSchema, type Operation, sample, typesOf } from "./openapi.ts";

/** One bad request. */
export interface Case {
  readonly name: string;
  readonly method: string;
  readonly target: string;
  readonly raw?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default 400. */
  readonly status?: number;
  /** Another status that is as good. */
  readonly orStatus?: number;
  /** What the answer must name: `/field` of a body, `?name` of a query. */
  readonly pointer?: string;
}

/** Bad whatever the call is. */
export function bodyMutations(operation: Operation): readonly Case[] {
  const { name, method, target, contentType, variants, body, bodyRequired } = operation;
  const [good] = variants;
  if (body === undefined || good === undefined) return [];
  const text = JSON.stringify(good);
  const headers = { "content-type": contentType };
  const of = (what: string, raw: string | Buffer, more: Partial<Case> = {}): Case => {
    return { name: `${name}, ${what}`, method, target, raw, headers, ...more };
  };
  const invalidUtf8 = Buffer.concat([Buffer.from('{"x":"'), Buffer.from([0xc3, 0x28, 0xff]), Buffer.from('"}')]);
  return [
    ...(bodyRequired ? [of("empty", "")] : []),
    ...["null", "true", "42", '"text"', "[]"].map((raw) => of(raw, raw)),
    of("cut off", text.slice(0, -1)),
    of("trailing comma", `${text.slice(0, -1)},}`),
    of("two documents", `${text}${text}`),
    of("NaN", '{"x":NaN}'),
    of("a comment", `/* */${text}`),
    of("invalid UTF-8", invalidUtf8),
    of("UTF-16", Buffer.from(text, "utf16le")),
    of("deep array", "[".repeat(100_000)),
    of("deep and closed", `{"x":${"[".repeat(5_000)}${"]".repeat(5_000)}}`),
    of("prototype", `{"__proto__":{"x":1}}`, { pointer: "/__proto__" }),
    of("2 MiB", `{"x":"${"x".repeat(2 * 1024 * 1024)}"}`, { status: 413 }),
    of("2 MiB of spaces", `${text}${" ".repeat(2 * 1024 * 1024)}`, { status: 413 }),
    of("as a form", text, { status: 415, headers: { "content-type": "application/x-www-form-urlencoded" } }),
    of("as XML", text, { status: 415, headers: { "content-type": "text/xml" } }),
    of("said to be gzip", text, { status: 415, headers: { ...headers, "content-encoding": "gzip" } }),
  ];
}

/** Raw JSON, since some of it (`1e400`) no value can be. */
interface BadValue {
  readonly what: string;
  readonly json: string;
}

/** Each field of each alternative, bad in every way that its schema rules out. */
export function fieldMutations(operation: Operation): readonly Case[] {
  const { body, variants, resolve, name, method, target, contentType } = operation;
  if (body === undefined) return [];
  return alternatives(body, resolve).flatMap((schema, index) => {
    const good = variants[index];
    const of = (what: string, raw: string, pointer: string): Case => {
      return { name: `${name}, ${what}`, method, target, raw, headers: { "content-type": contentType }, pointer };
    };
    return walk(schema, [], resolve, isDiscriminated(body)).flatMap(({ path, bad }) => {
      const pointer = path.map((part) => `/${part}`).join("");
      return bad.map(({ what, json }) => of(`${pointer} ${what}`, replaced(good, path, json), pointer));
    });
  });
}

function isDiscriminated(schema: JsonSchema): boolean {
  return schema.oneOf !== undefined || schema.anyOf !== undefined;
}

interface Place {
  readonly path: readonly (string | number)[];
  readonly bad: readonly BadValue[];
}

const missing = "\u0001missing";

function walk(
  schema: JsonSchema,
  path: readonly (string | number)[],
  resolve: (schema: JsonSchema) => JsonSchema,
  open: boolean,
): readonly Place[] {
  const found = resolve(schema);
  const places: Place[] = [];
  for (const [name, each] of Object.entries(found.properties ?? {})) {
    const at = [...path, name];
    const required = found.required?.includes(name) === true;
    places.push({
      path: at,
      bad: [...badValues(each, resolve), ...(required ? [{ what: "missing", json: missing }] : [])],
    });
    places.push(...walk(each, at, resolve, false));
  }
  if (found.additionalProperties === false && !open) {
    places.push({ path: [...path, "no_such_field"], bad: [{ what: "unknown field", json: "1" }] });
  }
  if (found.items !== undefined) {
    places.push({ path: [...path, 0], bad: badValues(found.items, resolve) });
    places.push(...walk(found.items, [...path, 0], resolve, false));
  }
  return places;
}

const wrongTypes: Readonly<Record<string, string>> = {
  null: "null",
  string: '"abc"',
  number: "1.5",
  boolean: "true",
  array: "[]",
  object: "{}",
};

function badValues(schema: JsonSchema, resolve: (schema: JsonSchema) => JsonSchema): readonly BadValue[] {
  const found = resolve(schema);
  const types = typesOf(found, resolve);
  // Free JSON: only what can be stored nowhere is bad in it.
  const anything = types.length === 0 || (types[0] === "object" && found.properties === undefined);
  const bad: BadValue[] = [
    { what: "U+0000", json: anything ? '{"x":"a\\u0000b"}' : '"a\\u0000b"' },
    { what: "lone surrogate", json: anything ? '{"x":"\\ud800"}' : '"\\ud800"' },
    { what: "too deep", json: `${'{"x":'.repeat(100)}1${"}".repeat(100)}` },
  ];
  if (types.length === 0) return bad;
  for (const [type, json] of Object.entries(wrongTypes)) {
    if (!types.includes(type) && !(type === "number" && types.includes("integer")))
      bad.push({ what: `as ${type}`, json });
  }
  if (types.includes("integer"))
    bad.push({ what: "a fraction", json: "0.5" }, { what: "2^53", json: "9007199254740993" });
  if (types.includes("integer") || types.includes("number")) {
    bad.push({ what: "beyond doubles", json: "1e400" }, { what: "huge", json: "1e308" });
    if (found.minimum !== undefined) bad.push({ what: "too small", json: String(found.minimum - 1) });
    if (found.maximum !== undefined) bad.push({ what: "too large", json: String(found.maximum + 1) });
  }
  if (types.includes("string")) {
    if (found.enum !== undefined || found.const !== undefined)
      bad.push({ what: "no choice", json: '"no-such-choice"' });
    if ((found.minLength ?? 0) > 0) bad.push({ what: "empty", json: '""' });
    const limit = found.maxLength;
    if (limit !== undefined) bad.push({ what: "too long", json: JSON.stringify("x".repeat(limit + 1)) });
  }
  return bad;
}

/** The JSON of `value` with the part at `path` being `json`. */
function replaced(value: unknown, path: readonly (string | number)[], json: string): string {
  const mark = "\u0001here";
  const copy = structuredClone(value) as Record<string, unknown>;
  let holder: Record<string | number, unknown> = copy;
  for (const [index, part] of path.slice(0, -1).entries()) {
    // What the good value leaves out is made up around the bad one.
    holder[part] ??= typeof path[index + 1] === "number" ? [] : {};
    holder = holder[part] as Record<string | number, unknown>;
  }
  const last = path.at(-1) ?? "";
  if (json === missing) delete holder[last];
  else holder[last] = mark;
  return JSON.stringify(copy).replace(JSON.stringify(mark), () => json);
}

/** Queries and paths: repeated, unreadable, unstorable, too long, unknown. */
export function parameterMutations(operation: Operation): readonly Case[] {
  const { name, method, target, path, query, pathParameters, variants, contentType, resolve } = operation;
  const [good] = variants;
  const body = good === undefined ? {} : { raw: JSON.stringify(good), headers: { "content-type": contentType } };
  const of = (what: string, changed: string, more: Partial<Case>): Case => {
    return { name: `${name}, ${what}`, method, target: changed, ...body, ...more };
  };
  const cases: Case[] = [];
  for (const { name: parameter, schema } of query) {
    const value = encodeURIComponent(String(sample(schema, resolve)));
    const bad = (what: string, text: string): Case =>
      of(`?${parameter} ${what}`, `${target}?${text}`, { pointer: `?${parameter}` });
    cases.push(
      bad("twice", `${parameter}=${value}&${parameter}=${value}`),
      bad("U+0000", `${parameter}=a%00b`),
      bad("invalid UTF-8", `${parameter}=%c3%28`),
      bad("half an escape", `${parameter}=%4`),
      bad("too long", `${parameter}=${"x".repeat(5_000)}`),
    );
    if ((resolve(schema).minLength ?? 0) > 0) cases.push(bad("empty", `${parameter}=`));
  }
  // The contract has these ignore what they do not know.
  const ignoresUnknown = /^\/(?:orders|payments)(?:\/|$)/.test(path);
  if (query.length > 0 && !ignoresUnknown) {
    cases.push(of("unknown parameter", `${target}?no_such_parameter=1`, { pointer: "?no_such_parameter" }));
  }
  for (const { name: parameter } of pathParameters) {
    const put = (text: string): string => path.replace(`{${parameter}}`, text);
    cases.push(
      of(`{${parameter}} U+0000`, put("a%00b"), {}),
      of(`{${parameter}} invalid UTF-8`, put("%c3%28"), {}),
      of(`{${parameter}} too long`, put("x".repeat(300)), { orStatus: 404 }),
    );
  }
  return cases;
}
