import { AppError, type FieldError } from "../errors/index.ts";
import { pointerOf, textFault } from "./text.ts";

const maxDepth = 64;
const maxLocatedLength = 64 * 1024;
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Parses JSON from untrusted bytes: strict UTF-8, at most 64 levels deep, no U+0000, lone surrogates or `__proto__`.
 * Errors say where, and repeat nothing of the body.
 * @throws AppError invalid_json, validation_failed
 */
export function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw invalid("invalid_utf8", "the body is not valid UTF-8");
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const position = text.length <= maxLocatedLength ? faultPosition(text) : undefined;
    throw invalid(
      "invalid_json",
      position === undefined ? "the body is not valid JSON" : `the body is not valid JSON at position ${position}`,
    );
  }
  // U+0000 and lone surrogates can only come from escapes: the decoder and the parser have refused them raw.
  const faults: FieldError[] = [];
  inspect(value, [], text.includes("\\u"), faults);
  if (faults.length > 0) {
    throw new AppError("validation_failed", {
      fieldErrors: faults,
      detail: `${faults[0]?.pointer}: ${faults[0]?.message}`,
    });
  }
  return value;
}

function invalid(code: string, message: string): AppError {
  return new AppError("invalid_json", { detail: message, fieldErrors: [{ pointer: "", code, message }] });
}

const maxFaults = 100;

function inspect(value: unknown, path: readonly PropertyKey[], hasEscapes: boolean, faults: FieldError[]): void {
  if (faults.length >= maxFaults) return;
  if (typeof value === "string") {
    const fault = hasEscapes ? textFault(value) : undefined;
    if (fault !== undefined) faults.push({ pointer: pointerOf(path), ...fault });
    return;
  }
  if (typeof value !== "object" || value === null) return;
  if (path.length >= maxDepth) {
    faults.push({
      pointer: pointerOf(path),
      code: "too_deep",
      message: `must not nest deeper than ${maxDepth} levels`,
    });
    return;
  }
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      if (typeof item === "object" || typeof item === "string") inspect(item, [...path, index], hasEscapes, faults);
    }
    return;
  }
  for (const [key, item] of Object.entries(value)) {
    const fault =
      key === "__proto__" ? { code: "forbidden_field", message: "is not allowed" } : hasEscapes && textFault(key);
    if (fault) faults.push({ pointer: pointerOf([...path, key]), ...fault });
    else if (typeof item === "object" || typeof item === "string") inspect(item, [...path, key], hasEscapes, faults);
  }
}

/**
 * Where the text stops being the beginning of some JSON document. The engine's message names a position only sometimes
 * and quotes the text, so the longest prefix that could go on is found by bisection.
 */
function faultPosition(text: string): number {
  let good = 0;
  let bad = text.length + 1;
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (couldGoOn(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  return good;
}

function couldGoOn(prefix: string): boolean {
  try {
    JSON.parse(prefix);
    return true;
  } catch (error) {
    const { message } = error as SyntaxError;
    if (message.startsWith("Unexpected end") || message.startsWith("Unterminated string")) return true;
    const position = /at position (\d+)/.exec(message)?.[1];
    return position !== undefined && Number(position) >= prefix.length;
  }
}
