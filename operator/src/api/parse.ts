import { type Document, isAlias, isMap, isScalar, LineCounter, parseAllDocuments } from "yaml";
import type { z } from "zod";
import { apiVersion, kind, type PricingEngine, resourceSchema } from "./resource.ts";

/** One thing to repair, with its place in the file. */
export interface Problem {
  /** Dotted, such as `spec.pricing.policy.market[0].when`; empty for the document itself. */
  readonly path: string;
  readonly message: string;
  readonly line?: number;
  readonly column?: number;
}

/** `Secret` documents beside the resource: name → key → value. */
export type Secrets = ReadonlyMap<string, Readonly<Record<string, string>>>;

export type ParsedResource =
  | { readonly ok: true; readonly resource: PricingEngine; readonly secrets: Secrets }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Reads YAML (or JSON) with exactly one PricingEngine, and Secrets beside it. Every problem is found in one go, each
 * with the line it is on.
 */
export function parseResource(text: string): ParsedResource {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, strict: true });
  if (!Array.isArray(documents)) return { ok: false, problems: [{ path: "", message: "the file is empty" }] };

  const at = (offset: number | undefined) => {
    if (offset === undefined) return {};
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const syntax = documents.flatMap((document) => document.errors);
  if (syntax.length > 0) {
    return { ok: false, problems: syntax.map((error) => ({ path: "", message: error.message, ...at(error.pos[0]) })) };
  }

  const problems: Problem[] = [];
  const secrets = new Map<string, Readonly<Record<string, string>>>();
  const engines: Document.Parsed[] = [];
  for (const document of documents) {
    const head = document.toJS() as { kind?: unknown } | null;
    if (head === null) continue;
    if (head.kind === "Secret")
      readSecret(head, secrets, (message) => problems.push({ path: "", message, ...at(document.range[0]) }));
    else engines.push(document);
  }

  const [engine, second] = engines;
  if (engine === undefined) problems.push({ path: "", message: `no ${kind} in the file` });
  if (second !== undefined) {
    problems.push({ path: "", message: `one ${kind} a file; this is another document`, ...at(second.range[0]) });
  }
  if (engine === undefined) return { ok: false, problems };

  const result = resourceSchema.safeParse(engine.toJS());
  if (result.success && problems.length === 0) return { ok: true, resource: result.data, secrets };
  const issues = result.success ? [] : result.error.issues.flatMap(spread);
  for (const { path, message } of issues) {
    problems.push({ path: dotted(path), message: explain(path, message), ...at(offsetOf(engine, path)) });
  }
  return { ok: false, problems: problems.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)) };
}

/** An object of the API server: what it adds to metadata, and the status, are not the resource's. */
export function parseObject(object: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
}): ParsedResource {
  const { annotations, labels, name, namespace } = object.metadata;
  const given = { name, namespace, labels, annotations };
  const metadata = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const result = resourceSchema.safeParse({
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata,
    spec: object.spec ?? {},
  });
  if (result.success) return { ok: true, resource: result.data, secrets: new Map() };
  const issues = result.error.issues.flatMap(spread);
  return { ok: false, problems: issues.map(({ path, message }) => ({ path: dotted(path), message })) };
}

/** `line 12: spec.pricing.quoteTtl: must be longer than cacheTtl`, one line for each problem. */
export function formatProblems(problems: readonly Problem[]): string {
  return problems
    .map(({ path, message, line }) => [line === undefined ? undefined : `line ${line}`, path || undefined, message])
    .map((parts) => parts.filter((part) => part !== undefined).join(": "))
    .join("\n");
}

interface Located {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** One entry for each offending field: unknown keys come from zod as one issue on their parent. */
function spread(issue: z.core.$ZodIssue): Located[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: [...issue.path, key], message: "unknown field" }));
  }
  if (issue.code === "invalid_union") {
    const branches = issue.errors.map((errors) => errors.flatMap(spread));
    // The branch that got furthest is the one that was meant.
    const best = branches.sort((a, b) => depth(b) - depth(a) || a.length - b.length)[0];
    if (best !== undefined && depth(best) > 0) {
      return best.map((inner) => ({ path: [...issue.path, ...inner.path], message: inner.message }));
    }
  }
  return [{ path: issue.path, message: issue.message }];
}

function depth(issues: readonly Located[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length));
}

function explain(path: readonly PropertyKey[], message: string): string {
  if (path.length === 1 && path[0] === "apiVersion") return `expected ${apiVersion}`;
  if (path.length === 1 && path[0] === "kind") return `expected ${kind}`;
  const match = /^Invalid input: (expected .+), received (\w+)$/.exec(message);
  if (match === null) return message;
  const [, expected, received] = match;
  if (received === "undefined") return `${expected}, but it is missing`;
  const quoted = expected === "expected string" && received === "number" ? " (put it in quotes)" : "";
  return `${expected}, got ${received}${quoted}`;
}

function dotted(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === "number" ? `[${part}]` : `${index === 0 ? "" : "."}${String(part)}`))
    .join("");
}

/** Where the field stands, or the nearest parent that is there. */
function offsetOf(document: Document.Parsed, path: readonly PropertyKey[]): number | undefined {
  for (let length = path.length; length >= 0; length--) {
    const part = path.slice(0, length);
    const parent = part.length === 0 ? undefined : document.getIn(part.slice(0, -1), true);
    const container = part.length <= 1 ? document.contents : parent;
    const last = part.at(-1);
    if (last === undefined) return document.contents?.range?.[0];
    if (isMap(container)) {
      const pair = container.items.find((item) => isScalar(item.key) && item.key.value === last);
      if (pair !== undefined && isScalar(pair.key)) return pair.key.range?.[0];
    }
    const node = document.getIn(part, true);
    if (node !== undefined && node !== null && !isAlias(node) && typeof node === "object" && "range" in node) {
      return (node.range as [number] | undefined)?.[0];
    }
  }
  return undefined;
}

function readSecret(
  head: object,
  secrets: Map<string, Readonly<Record<string, string>>>,
  refuse: (message: string) => void,
) {
  const { metadata, stringData, data } = head as Record<string, unknown>;
  const name = (metadata as { name?: unknown } | undefined)?.name;
  if (typeof name !== "string" || name === "") return refuse("a Secret needs metadata.name");
  const values: Record<string, string> = {};
  for (const [key, value] of Object.entries((data as Record<string, unknown> | undefined) ?? {})) {
    if (typeof value !== "string") return refuse(`Secret ${name}: data.${key} must be a base64 string`);
    values[key] = Buffer.from(value, "base64").toString("utf8");
  }
  for (const [key, value] of Object.entries((stringData as Record<string, unknown> | undefined) ?? {})) {
    if (typeof value !== "string") return refuse(`Secret ${name}: stringData.${key} must be a string`);
    values[key] = value;
  }
  secrets.set(name, values);
}
