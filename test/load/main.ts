// `pnpm bench NAME`: prints a table of ratios to a reference measured in the same run; exits with 1 below a bar.
import { parseArgs } from "node:util";
import { isMet, type Row, renderRows } from "./report.ts";

type Say = (line: string) => void;

const benches: Readonly<Record<string, (quick: boolean, say: Say) => Promise<readonly Row[]>>> = {
  async price(quick, say) {
    const { benchPrice, full, quick: small } = await import("./price.ts");
    return await benchPrice(quick ? small : full, say);
  },
  async payments(quick, say) {
    const { benchPayments, full, quick: small } = await import("./payments.ts");
    return await benchPayments(quick ? small : full, say);
  },
  async outage(quick, say) {
    const { benchOutage, full, quick: small } = await import("./outage.ts");
    return await benchOutage(quick ? small : full, say);
  },
  async ingest(quick, say) {
    const { benchIngest, full, quick: small } = await import("./ingest.ts");
    return await benchIngest(quick ? small : full, say);
  },
  async orders(quick, say) {
    const { benchOrders, full, quick: small } = await import("./orders.ts");
    return await benchOrders(quick ? small : full, say);
  },
};
const usage = `Usage: pnpm bench ${Object.keys(benches).join("|")} [--quick]
       pnpm bench rinha [--scale 0.2] [--seconds 120] [--faults] [--cpus 1.5]`;

async function run(args: readonly string[]): Promise<number> {
  // It has options, a report and an end of its own.
  if (args[0] === "rinha") await import("./rinha/main.ts");
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { quick: { type: "boolean", default: false } },
  });
  const bench = positionals.length === 1 ? benches[positionals[0] ?? ""] : undefined;
  if (bench === undefined) {
    console.error(usage);
    return 2;
  }
  const rows = await bench(values.quick, (line) => console.error(`  ${line}`));
  console.log(renderRows(rows));
  const below = rows.filter((row) => !isMet(row));
  if (below.length === 0) return 0;
  console.error(`below the bar: ${below.map(({ what }) => what).join(", ")}`);
  return 1;
}

process.exitCode = await run(process.argv.slice(2));
