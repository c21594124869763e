// `pnpm bench price [--quick]`: prints a table of ratios to a reference measured in the same run; exits with 1 below a bar.
import { parseArgs } from "node:util";
import { benchPrice, type Scale } from "./price.ts";
import { isMet, renderRows } from "./report.ts";

const usage = "Usage: pnpm bench price [--quick]";
const full: Scale = { rounds: 5, seconds: 8, products: 100_000, recalculations: 3 };
const quick: Scale = { rounds: 3, seconds: 2, products: 10_000, recalculations: 1 };

const { values, positionals } = parseArgs({ allowPositionals: true, options: { quick: { type: "boolean" } } });
if (positionals.length !== 1 || positionals[0] !== "price") {
  console.error(usage);
  process.exit(2);
}
const rows = await benchPrice(values.quick === true ? quick : full, (line) => console.error(`  ${line}`));
console.log(renderRows(rows));
const below = rows.filter((row) => !isMet(row));
if (below.length > 0) {
  console.error(`below the bar: ${below.map(({ what }) => what).join(", ")}`);
  process.exitCode = 1;
}
