// How many `publish` and `quote` one core does in a second, with 10 rules each, against a fixed piece of work on the
// same core, so that the ratio says something on any machine. Run: node services/pricing/bench/domain.ts [--json]
import { createHash } from "node:crypto";
import { compilePolicy } from "../src/domain/compile-policy.ts";
import { publish } from "../src/domain/publish.ts";
import { quote } from "../src/domain/quote.ts";
import type { MarketFacts, PolicySource, ProductFacts, QuoteRequest } from "../src/domain/types.ts";

const source: PolicySource = {
  market: Array.from({ length: 10 }, (_, index) => ({
    name: `rule-${index}`,
    priority: index,
    when: ["signals.demand > 1.0", "product.stock <= 500", "signals.competitor_price < product.base_price"][index % 3],
    adjust: {
      multiply: index % 2 === 0 ? "1.0 + (signals.demand - 1.0) * 0.01" : "0.99",
    },
    reason: "Because",
  })),
  customer: Array.from({ length: 10 }, (_, index) => ({
    name: `rule-${index}`,
    priority: index,
    when: ["customer.prime", "quantity >= 2", 'customer.segment == "business"'][index % 3],
    adjust: { multiply: index % 2 === 0 ? "1 - 0.001 * quantity" : "0.99" },
    reason: "Because",
  })),
  corridor: { minMargin: "0.10", floor: "1.00", ceiling: "999.00", maxStep: "0.20", maxDailyDrift: "0.50" },
  rounding: { increment: "0.10", ending: "0.09" },
};

const nowMs = Date.UTC(2026, 10, 20);
const signalTtlMs = { demand: 3_600_000, competitor_price: 3_600_000, stock: 3_600_000, cost: 0 };
const variants = 1000;
const products: ProductFacts[] = Array.from({ length: variants }, (_, index) => ({
  productId: `product-${index}`,
  name: "Concert, stalls",
  currency: "EUR",
  basePriceMinor: 1990 + index * 7,
  cost: { costMinor: 1000 + index, statedAtMs: nowMs },
  stock: index,
  attributes: { zone: "stalls" },
}));
const facts: MarketFacts[] = products.map((product, index) => ({
  product,
  signals: {
    demand: { demand: 0.8 + index / 777, observedAtMs: nowMs - 1000 },
    competitor_price: { priceMinor: 2000 + index * 6, confidence: 1, observedAtMs: nowMs - 1000 },
  },
  last: { priceMinor: product.basePriceMinor, currency: "EUR" },
  dayAgo: { priceMinor: product.basePriceMinor, currency: "EUR" },
}));
const requests: QuoteRequest[] = products.map((product, index) => ({
  product,
  market: { currency: "EUR", priceMinor: 1999 + index, basePriceMinor: 1990, costMinor: 1000 },
  listPrices: [],
  customer: { prime: index % 2 === 0, segment: index % 3 === 0 ? "business" : "", location: "DE-BE" },
  quantity: (index % 7) + 1,
  currency: undefined,
  nowMs,
}));

const compiled = compilePolicy(source);
if (!compiled.ok) throw new Error(JSON.stringify(compiled.errors));
const { policy } = compiled;

const work = {
  reference: (index: number): number => createHash("sha256").update(`product-${index}`).digest().length,
  publish: (index: number): number =>
    publish(facts[index % variants] as MarketFacts, policy, { nowMs, signalTtlMs }).priceMinor,
  quote: (index: number): boolean => quote(requests[index % variants] as QuoteRequest, policy).ok,
} as const;

type Name = keyof typeof work;
const names: readonly Name[] = ["reference", "publish", "quote"];
let sink: unknown;

/** Calls a second of CPU time, which other processes hardly disturb. */
function rate(name: Name): number {
  const calls = 100_000;
  const run = work[name];
  const before = process.cpuUsage();
  for (let index = 0; index < calls; index += 1) sink = run(index);
  const { user, system } = process.cpuUsage(before);
  return Math.round((calls * 1e6) / (user + system));
}

const rounds = 5;
const rates: Record<Name, number[]> = { reference: [], publish: [], quote: [] };
for (const name of names) rate(name);
for (let round = 0; round < rounds; round += 1) for (const name of names) rates[name].push(rate(name));

const summary = Object.fromEntries(
  names.map((name) => {
    const sorted = rates[name].toSorted((a, b) => a - b);
    return [name, { median: sorted[2] ?? 0, low: sorted[0] ?? 0, high: sorted[4] ?? 0 }];
  }),
) as Record<Name, { median: number; low: number; high: number }>;

if (process.argv.includes("--json")) {
  process.stdout.write(`${JSON.stringify(summary)}\n`);
} else {
  for (const name of names) {
    const { median, low, high } = summary[name];
    const ratio = (median / summary.reference.median).toFixed(2);
    const bar =
      name === "reference" ? "(SHA-256 of a short text)" : median >= 50_000 ? "bar 50,000/s met" : "BELOW 50,000/s";
    process.stdout.write(
      `${name.padEnd(10)} ${median.toLocaleString("en")}/s a core (${low}…${high}), ${ratio} of the reference, ${bar}\n`,
    );
  }
}
if (sink === undefined) process.exitCode = 1;
