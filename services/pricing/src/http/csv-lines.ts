import { pipeline } from "node:stream";
import { AppError } from "@pricing-engine/chassis/errors";
import { parseJson } from "@pricing-engine/chassis/http";
import { maxImportLineBytes, productCsvColumns } from "@pricing-engine/contracts";
import { type CsvError, parse } from "csv-parse";
import type { ImportLine } from "../usecases/import-products.ts";

interface CsvRecord {
  info: { lines: number };
  record: Buffer[];
}

type Column = (typeof productCsvColumns)[number];

/**
 * The records of CSV with a header line. `list_prices` and `attributes` hold JSON, an empty cell means absent. A record whose
 * quotes do not match is unreadable, what stands before it is not; reading goes on behind a quote inside a bare cell,
 * and ends where a quoted cell does not: where the next record begins is a guess then.
 *
 * @throws AppError `validation_failed` when the header names what is no column, or one twice.
 */
export async function* readCsv(body: AsyncIterable<Buffer>): AsyncGenerator<ImportLine> {
  let columns: readonly Column[] | undefined;
  let isLost = false;
  for await (const item of records(body)) {
    if (isLost) continue;
    if ("fault" in item) {
      isLost = item.isLast;
      yield item.fault;
    } else if (columns === undefined) {
      columns = readHeader(item.record);
    } else {
      yield toLine(item.info.lines, columns, item.record);
    }
  }
}

interface CsvFault {
  fault: ImportLine;
  isLast: boolean;
}

/**
 * Buffers instead of text, so that bytes that are no UTF-8 are found and not replaced. What cannot be read comes in its
 * place among the records: an error of the stream would take along those that it still holds.
 */
function records(body: AsyncIterable<Buffer>): AsyncIterable<CsvRecord | CsvFault> {
  let isTooLong = false;
  // The parser would hold a record that is too long up to its end.
  async function* untilTooLong(): AsyncGenerator<Buffer> {
    for await (const chunk of body) {
      yield chunk;
      if (isTooLong) return;
    }
  }
  const parser = parse({
    encoding: null,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: maxImportLineBytes,
    skip_records_with_error: true,
    on_skip: (error) => {
      if (error === undefined) return undefined;
      const found = toFault(error);
      isTooLong ||= found.fault.kind === "too_long";
      parser.push(found);
      return undefined;
    },
  });
  pipeline(untilTooLong(), parser, () => undefined);
  return parser;
}

function toFault({ code, lines }: CsvError): CsvFault {
  const line = Number(lines);
  const unreadable = (detail: string): ImportLine => ({ kind: "unreadable", line, detail });
  switch (code) {
    case "CSV_MAX_RECORD_SIZE":
      return { fault: { kind: "too_long", line }, isLast: true };
    case "INVALID_OPENING_QUOTE":
      return { fault: unreadable("has a quote inside a cell that does not begin with one"), isLast: false };
    case "CSV_QUOTE_NOT_CLOSED":
      return { fault: unreadable("a quote before it is never closed; nothing behind that was read"), isLast: true };
    default:
      return { fault: unreadable("has text behind a quoted cell; nothing behind it was read"), isLast: true };
  }
}

// Takes off a byte order mark too: the parser knows that only for text.
const utf8 = new TextDecoder("utf-8", { fatal: true });

function decode(cell: Buffer): string | undefined {
  try {
    return utf8.decode(cell);
  } catch {
    return undefined;
  }
}

function readHeader(record: readonly Buffer[]): Column[] {
  const names = record.map((cell) => (decode(cell) ?? "").trim());
  const columns = names.flatMap((name) => productCsvColumns.filter((column) => column === name));
  if (columns.length !== names.length || new Set(columns).size !== columns.length) {
    const message = `must name columns, each once, out of ${productCsvColumns.join(", ")}`;
    const fieldErrors = [{ pointer: "", code: "invalid_header", message: `the first line ${message}` }];
    throw new AppError("validation_failed", { detail: `the first line ${message}`, fieldErrors });
  }
  return columns;
}

function toLine(line: number, columns: readonly Column[], record: readonly Buffer[]): ImportLine {
  if (record.length !== columns.length) {
    return { kind: "unreadable", line, detail: `has ${record.length} cells instead of ${columns.length}` };
  }
  const value: Record<string, unknown> = {};
  for (const [index, column] of columns.entries()) {
    const cell = record[index];
    if (cell === undefined || cell.length === 0) continue;
    const parsed = parseCell(column, cell);
    if (!parsed.ok) return { kind: "unreadable", line, detail: `${column}: ${parsed.problem}` };
    value[column] = parsed.value;
  }
  return { kind: "value", line, value };
}

type Cell = { ok: true; value: unknown } | { ok: false; problem: string };

function parseCell(column: Column, cell: Buffer): Cell {
  if (column === "list_prices" || column === "attributes") {
    try {
      return { ok: true, value: parseJson(cell) };
    } catch (error) {
      if (error instanceof AppError) return { ok: false, problem: error.detail ?? "is not JSON" };
      throw error;
    }
  }
  const text = decode(cell);
  if (text === undefined) return { ok: false, problem: "is not UTF-8" };
  // Text that is no number stays text: the schema then says what is wrong with it.
  if (column === "stock") return { ok: true, value: /^-?\d{1,15}$/.test(text) ? Number(text) : text };
  return { ok: true, value: text };
}
