import type { CustomerContext, SimulationRequest, SimulationResponse } from "@pricing-engine/contracts";
import { formatMinor } from "@pricing-engine/money";
import { query } from "@pricing-engine/postgres";
import { type Candidate, readCandidates } from "../adapters/candidate-reader.ts";
import type { CompiledPolicy } from "../adapters/compiled-policies.ts";
import { readDayAgo } from "../adapters/history-reader.ts";
import { listPricedIds, type QuoteBasis, readQuoteBases } from "../adapters/quote-reader.ts";
import { compilePolicy } from "../domain/compile-policy.ts";
import type { Policy } from "../domain/policy.ts";
import { publish } from "../domain/publish.ts";
import { quote } from "../domain/quote.ts";
import type { MarketBasis, PolicyError } from "../domain/types.ts";
import { customerOf } from "./decide-price.ts";
import { bulkDeadlineMs } from "./deps.ts";
import { currencyNotSold, toItemError, unknownProduct } from "./price-errors.ts";
import type { ReadDeps } from "./read-deps.ts";

export type SimulationResult =
  | { readonly kind: "simulated"; readonly simulation: SimulationResponse }
  | { readonly kind: "refused"; readonly errors: readonly PolicyError[] };

export type SimulatePolicy = (request: SimulationRequest) => Promise<SimulationResult>;

type Line = SimulationResponse["results"][number];

const pageSize = 500;
/** Products that are listed; all of them count in the sums. */
const maxListed = 1000;

/** Prices now and under another policy, by the same two functions that make the real ones; writes nothing. */
export function makeSimulatePolicy({ pool, policies }: Pick<ReadDeps, "pool" | "policies">): SimulatePolicy {
  async function readPage(ids: readonly string[], drifts: boolean): Promise<Page> {
    return query(pool, bulkDeadlineMs, async (on) => {
      const bases = await readQuoteBases(on, ids);
      const read = await readCandidates(on, ids);
      // The policy in force may not limit the drift, and then candidates come without yesterday's price.
      const dayAgo = drifts ? await readDayAgo(on, ids) : undefined;
      const candidates = read.map(({ facts, ...candidate }) => ({
        ...candidate,
        facts: { ...facts, dayAgo: dayAgo?.get(facts.product.productId) },
      }));
      const [any] = bases.values();
      return { bases, candidates, current: any && (await policies.get(on, any.policyVersion)) };
    });
  }

  async function* pages(productIds: readonly string[] | undefined): AsyncGenerator<readonly string[]> {
    if (productIds !== undefined) {
      const unique = [...new Set(productIds)];
      for (let start = 0; start < unique.length; start += pageSize) yield unique.slice(start, start + pageSize);
      return;
    }
    let afterId = "";
    for (;;) {
      const from = afterId;
      const ids = await query(pool, bulkDeadlineMs, (on) => listPricedIds(on, from, pageSize));
      const last = ids.at(-1);
      if (last === undefined) return;
      yield ids;
      afterId = last;
    }
  }

  return async ({ policy: source, product_ids, customer = {} }) => {
    const compiled = compilePolicy(source);
    if (!compiled.ok) return { kind: "refused", errors: compiled.errors };
    const results: Line[] = [];
    const sums = new Map<string, Sum>();
    let truncated = false;
    const drifts = compiled.policy.corridor.maxDailyDrift !== undefined;
    for await (const ids of pages(product_ids)) {
      const page = await readPage(ids, drifts);
      for (const line of simulatePage(ids, page, compiled.policy, customer, sums)) {
        if (results.length < maxListed) results.push(line);
        else truncated = true;
      }
    }
    return { kind: "simulated", simulation: { results, totals: [...sums].map(toTotal), truncated } };
  };
}

interface Page {
  readonly bases: ReadonlyMap<string, QuoteBasis>;
  readonly candidates: readonly Candidate[];
  readonly current: CompiledPolicy | undefined;
}

/** Prices are safe integers, their sums need not be. */
interface Sum {
  products: number;
  nowMinor: bigint;
  simulatedMinor: bigint;
}

function* simulatePage(
  ids: readonly string[],
  { bases, candidates, current }: Page,
  policy: Policy,
  context: CustomerContext,
  sums: Map<string, Sum>,
): Generator<Line> {
  const candidateById = new Map(candidates.map((candidate) => [candidate.facts.product.productId, candidate]));
  for (const productId of ids) {
    const basis = bases.get(productId);
    const candidate = candidateById.get(productId);
    if (basis === undefined || candidate === undefined || current === undefined) {
      yield { product_id: productId, error: toItemError(unknownProduct(productId)) };
      continue;
    }
    const simulated = publish(candidate.facts, policy, { nowMs: candidate.nowMs, signalTtlMs: current.signalTtlMs });
    const before = finalPrice(basis, basis.market, current.policy, context);
    const after = finalPrice(basis, simulated, policy, context);
    if (before === undefined || after === undefined) {
      yield { product_id: productId, error: toItemError(currencyNotSold(productId, context.currency ?? "")) };
      continue;
    }
    const { currency } = before;
    const sum = sums.get(currency) ?? { products: 0, nowMinor: 0n, simulatedMinor: 0n };
    sum.products += 1;
    sum.nowMinor += BigInt(before.minor);
    sum.simulatedMinor += BigInt(after.minor);
    sums.set(currency, sum);
    const market = basis.market.currency;
    yield {
      product_id: productId,
      currency,
      now: {
        market_price: formatMinor(basis.market.priceMinor, market),
        final_price: formatMinor(before.minor, currency),
      },
      simulated: {
        market_price: formatMinor(simulated.priceMinor, market),
        final_price: formatMinor(after.minor, currency),
      },
      difference: formatMinor(after.minor - before.minor, currency),
    };
  }
}

function finalPrice(
  { product, listPrices, nowMs }: QuoteBasis,
  market: MarketBasis,
  policy: Policy,
  context: CustomerContext,
): { currency: string; minor: number } | undefined {
  const { quantity = 1, currency } = context;
  const result = quote(
    { product, market, listPrices, customer: customerOf(context), quantity, currency, nowMs },
    policy,
  );
  return result.ok ? { currency: result.quote.currency, minor: result.quote.finalPriceMinor } : undefined;
}

function toTotal([currency, { products, nowMinor, simulatedMinor }]: [
  string,
  Sum,
]): SimulationResponse["totals"][number] {
  return {
    currency,
    products,
    now: formatMinor(nowMinor, currency),
    simulated: formatMinor(simulatedMinor, currency),
    difference: formatMinor(simulatedMinor - nowMinor, currency),
  };
}
