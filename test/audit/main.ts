/**
 * node test/audit/main.ts --told <file> --default <url> --fallback <url> --postgres <url> [--gateway <url>]
 *
 * Compares what clients were told (lines of `PAYMENT A|R|U <id> <amountMinor>`) with both simulated processors, our tables and,
 * with a gateway, its summary. Ends with 1 when a promise was not kept.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import postgres from "postgres";
import { auditPayments, isClean, renderAudit } from "./payments.ts";
import { findSummaryFaults, parseTales, pickWindows, readProcessor, readRows } from "./sources.ts";

const text = { type: "string" } as const;
const { values } = parseArgs({ options: { told: text, default: text, fallback: text, postgres: text, gateway: text } });
const { told, default: cheap, fallback, postgres: url, gateway } = values;
if (told === undefined || cheap === undefined || fallback === undefined || url === undefined) {
  console.error("usage: audit --told <file> --default <url> --fallback <url> --postgres <url> [--gateway <url>]");
  process.exit(2);
}
const sql = postgres(url, { max: 1 });
const dumps = { default: await readProcessor(cheap), fallback: await readProcessor(fallback) };
const audit = auditPayments({ tales: parseTales(readFileSync(told, "utf8")), ...dumps, rows: await readRows(sql) });
await sql.end();
console.log(renderAudit(audit));
const all = [...dumps.default, ...dumps.fallback];
const windows = gateway === undefined ? [] : await findSummaryFaults(gateway, dumps, pickWindows(all, 20));
if (gateway !== undefined) console.log(`summaries that differ: ${windows.length}`, ...windows.slice(0, 3));
process.exitCode = isClean(audit) && windows.length === 0 ? 0 : 1;
