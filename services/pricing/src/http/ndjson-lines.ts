import { AppError } from "@pricing-engine/chassis/errors";
import { parseJson } from "@pricing-engine/chassis/http";
import { maxImportLineBytes } from "@pricing-engine/contracts";
import type { ImportLine } from "../usecases/import-products.ts";

const newline = 0x0a;

/** The lines of NDJSON; empty ones are passed over. Holds one line at a time, and ends at one above 1 MiB. */
export async function* readNdjson(body: AsyncIterable<Buffer>): AsyncGenerator<ImportLine> {
  let line = 0;
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const chunk of body) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      line += 1;
      held.push(chunk.subarray(start, end));
      start = end + 1;
      if (heldBytes + (held.at(-1)?.length ?? 0) > maxImportLineBytes) {
        yield { kind: "too_long", line };
        return;
      }
      const parsed = parseLine(line, held.length === 1 && held[0] !== undefined ? held[0] : Buffer.concat(held));
      held = [];
      heldBytes = 0;
      if (parsed !== undefined) yield parsed;
    }
    held.push(chunk.subarray(start));
    heldBytes += chunk.length - start;
    if (heldBytes > maxImportLineBytes) {
      yield { kind: "too_long", line: line + 1 };
      return;
    }
  }
  const last = parseLine(line + 1, Buffer.concat(held));
  if (last !== undefined) yield last;
}

function parseLine(line: number, bytes: Buffer): ImportLine | undefined {
  if (isBlank(bytes)) return undefined;
  try {
    return { kind: "value", line, value: parseJson(bytes) };
  } catch (error) {
    if (error instanceof AppError) return { kind: "unreadable", line, detail: error.detail ?? "the line is not JSON" };
    throw error;
  }
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}
