import { AppError } from "@pricing-engine/chassis/errors";
import { type Context, context } from "@pricing-engine/chassis/telemetry";
import { maxOrderLines, type QuotesRequest, type QuotesResponse } from "@pricing-engine/contracts";
import type { PricingClient } from "../adapters/pricing-client.ts";
import { inBatches } from "./in-batches.ts";

type Quote = PricingClient["quote"];

interface Item {
  readonly request: QuotesRequest;
  readonly trace: Context;
}

const maxItems = 64;

/**
 * Asks for the quotes of orders that are placed at once together: pricing answers for lines, whosever they are. The call is in the trace
 * of the first of them. When pricing answers with a fault, each is asked for alone, so that only the order at fault is refused.
 *
 * @throws AppError `unavailable`
 */
export function makeQuoteInBatches(ask: Quote, patienceMs: number): Quote {
  const quote = inBatches<Item, QuotesResponse>({
    async run(items) {
      const answers = await Promise.all(callsOf(items).map((call) => askTogether(ask, call)));
      const answerOf = new Map(answers.flat());
      return items.map((item) => answerOf.get(item) ?? { results: [] });
    },
    isOutage: (error) => !(error instanceof AppError && "status" in error.context),
    gatherMs: 0,
    patienceMs,
    maxItems,
  });
  return (request) => quote({ request, trace: context.active() });
}

/** Members and others apart; no call has more lines than one order may have. */
function callsOf(items: readonly Item[]): Item[][] {
  const calls: Item[][] = [];
  for (const isMember of [true, false]) {
    let lines = Number.POSITIVE_INFINITY;
    for (const item of items) {
      const { is_prime_member, items: own } = item.request;
      if (is_prime_member !== isMember) continue;
      if (lines + own.length > maxOrderLines) {
        calls.push([]);
        lines = 0;
      }
      calls.at(-1)?.push(item);
      lines += own.length;
    }
  }
  return calls;
}

async function askTogether(ask: Quote, call: readonly Item[]): Promise<[Item, QuotesResponse][]> {
  const [first] = call;
  if (first === undefined) return [];
  const items = call.flatMap(({ request }) => request.items);
  const { is_prime_member } = first.request;
  const { results } = await context.with(first.trace, () => ask({ is_prime_member, items }));
  let next = 0;
  return call.map((item) => {
    const from = next;
    next += item.request.items.length;
    return [item, { results: results.slice(from, next) }];
  });
}
