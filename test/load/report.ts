import type { Spread } from "./measure.ts";

export interface Row {
  readonly what: string;
  readonly spread: Spread;
  readonly unit: string;
  readonly digits?: number;
  /** The median must be at least, or at most, this. */
  readonly bar?: { readonly least: number } | { readonly most: number };
}

export function isMet({ bar, spread }: Row): boolean {
  if (bar === undefined) return true;
  return "least" in bar ? spread.median >= bar.least : spread.median <= bar.most;
}

/** The table for the terminal and for docs/benchmarks.md. */
export function renderRows(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const { what, spread, unit, digits = 2, bar } = row;
    const show = (value: number): string =>
      value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    const asked = bar === undefined ? "" : "least" in bar ? `≥ ${show(bar.least)}` : `≤ ${show(bar.most)}`;
    const verdict = bar === undefined ? "" : isMet(row) ? "met" : "BELOW";
    return [
      what,
      `${show(spread.median)} ${unit}`.trim(),
      `${show(spread.low)} … ${show(spread.high)}`,
      asked,
      verdict,
    ];
  });
  const all = [["what", "median", "range", "bar", ""], ...lines];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((cells) => cells[column]?.length ?? 0), 3));
  const render = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head, ...body] = all.map(render);
  return [head, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body].join("\n");
}
