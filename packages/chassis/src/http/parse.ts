import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import type { z } from "zod";
import { AppError, type FieldError } from "../errors/index.ts";
import { fieldErrorsOf } from "./field-errors.ts";
import { parseJson } from "./json.ts";
import type { HttpContext, HttpEnv } from "./make-http-app.ts";
import { readBody } from "./read-body.ts";
import { decodeOrUndefined } from "./target.ts";
import { pointerOf, textFault } from "./text.ts";

/** Route middleware that allows bodies of another size than the default 1 MiB. */
export function limitBody(maxBytes: number): MiddlewareHandler<HttpEnv> {
  return createMiddleware<HttpEnv>(async (c, next) => {
    c.set("bodyLimit", maxBytes);
    await next();
  });
}

const jsonType = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/**
 * The parsed JSON body; undefined when it is empty. A body without a type is taken for JSON.
 * @throws AppError invalid_json, validation_failed, unsupported_media_type, payload_too_large
 */
export async function readJson(c: HttpContext): Promise<unknown> {
  const bytes = await readBody(c);
  if (bytes.byteLength === 0) return undefined;
  const type = c.req.header("content-type");
  const encoding = c.req.header("content-encoding");
  if (
    (type !== undefined && type.trim() !== "" && !jsonType.test(type.trim())) ||
    (encoding !== undefined && encoding !== "identity")
  ) {
    throw new AppError("unsupported_media_type", { detail: "send application/json, not compressed" });
  }
  return parseJson(bytes);
}

/** The body, checked. An empty one is given to the schema as undefined. @throws AppError 400, 413, 415 */
export async function parseBody<Schema extends z.ZodType>(c: HttpContext, schema: Schema): Promise<z.output<Schema>> {
  return checkBody(schema, await readJson(c));
}

/** A body that `readJson` gave, checked. @throws AppError validation_failed */
export function checkBody<Schema extends z.ZodType>(schema: Schema, json: unknown): z.output<Schema> {
  return check(schema, json, pointerOf);
}

/** The query, checked; a parameter given several times is an array. @throws AppError validation_failed */
export function parseQuery<Schema extends z.ZodType>(c: HttpContext, schema: Schema): z.output<Schema> {
  const { url } = c.req;
  const start = url.indexOf("?");
  const values: Record<string, string | string[]> = Object.create(null);
  const faults: FieldError[] = [];
  for (const pair of start < 0 ? [] : (url.slice(start + 1).split("#", 1)[0] ?? "").split("&")) {
    if (pair === "") continue;
    const separator = pair.indexOf("=");
    const [rawName, rawValue] = separator < 0 ? [pair, ""] : [pair.slice(0, separator), pair.slice(separator + 1)];
    const name = decodeOrUndefined(rawName.replaceAll("+", " "));
    const value = decodeOrUndefined(rawValue.replaceAll("+", " "));
    const pointer = queryPointer([name ?? "(unreadable)"]);
    if (name === undefined || value === undefined) {
      faults.push({ pointer, code: "invalid_encoding", message: "must be percent-encoded UTF-8" });
      continue;
    }
    const fault = textFault(name) ?? textFault(value);
    if (fault !== undefined) faults.push({ pointer, ...fault });
    const known = values[name];
    values[name] = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value];
  }
  if (faults.length > 0) throw refused(faults);
  return check(schema, { ...values }, queryPointer);
}

/** The path's parameters, decoded and checked. @throws AppError validation_failed */
export function parseParams<Schema extends z.ZodType>(c: HttpContext, schema: Schema): z.output<Schema> {
  return check(schema, c.req.param(), (path) => `:${pointerOf(path).slice(1)}`);
}

function queryPointer(path: readonly PropertyKey[]): string {
  return `?${pointerOf(path).slice(1)}`;
}

function check<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  render: (path: readonly PropertyKey[]) => string,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw refused(fieldErrorsOf(result.error.issues, render));
}

function refused(fieldErrors: readonly FieldError[]): AppError {
  const [first] = fieldErrors;
  const more = fieldErrors.length > 1 ? ` (and ${fieldErrors.length - 1} more)` : "";
  const detail = first === undefined ? undefined : `${first.pointer || "body"}: ${first.message}${more}`;
  return new AppError("validation_failed", { fieldErrors, ...(detail === undefined ? {} : { detail }) });
}
