import type { HistoryQuery, HistoryResponse } from "@pricing-engine/contracts";
import { formatMinor } from "@pricing-engine/money";
import { query } from "@pricing-engine/postgres";
import { findPriceWindow } from "../adapters/history-reader.ts";
import { deadlineMs } from "./deps.ts";
import type { ReadDeps } from "./read-deps.ts";

/** Undefined: there is no such product. */
export type GetPriceHistory = (productId: string, window: HistoryQuery) => Promise<HistoryResponse | undefined>;

export function makeGetPriceHistory({ pool }: Pick<ReadDeps, "pool">): GetPriceHistory {
  return async (productId, { from, to }) => {
    const fromMs = from === undefined ? undefined : Date.parse(from);
    const toMs = to === undefined ? undefined : Date.parse(to);
    const found = await query(pool, deadlineMs, (on) => findPriceWindow(on, productId, { fromMs, toMs }));
    if (found === undefined) return undefined;
    const { entries, lowest } = found;
    return {
      product_id: productId,
      entries: entries.map(({ priceMinor, currency, decidedAtMs, decisionId, reason }) => ({
        price: formatMinor(priceMinor, currency),
        currency,
        decided_at: new Date(decidedAtMs).toISOString(),
        decision_id: decisionId,
        reason,
      })),
      lowest_30d: lowest === undefined ? null : formatMinor(lowest.priceMinor, lowest.currency),
    };
  };
}
