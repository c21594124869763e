import type { ListPrice } from "./types.ts";

/** What a list price is chosen by. */
export interface ListPriceQuery {
  readonly segment: string;
  readonly currency: string;
  readonly quantity: number;
  readonly nowMs: number;
}

export interface ListPriceChoice {
  readonly chosen: ListPrice | undefined;
  /** When the next list price that fits but for its time begins or ends. */
  readonly changesAtMs: number | undefined;
}

/**
 * The list price that applies: the highest priority, then the most specific (a segment before none, then the higher
 * tier, then the one with the more bounds in time), then the lowest id. So never two.
 */
export function chooseListPrice(listPrices: readonly ListPrice[], query: ListPriceQuery): ListPriceChoice {
  let chosen: ListPrice | undefined;
  let changesAtMs: number | undefined;
  for (const listPrice of listPrices) {
    if (!fits(listPrice, query)) continue;
    for (const boundary of [listPrice.validFromMs, listPrice.validToMs]) {
      if (boundary !== undefined && boundary > query.nowMs) changesAtMs = Math.min(boundary, changesAtMs ?? boundary);
    }
    if (isValid(listPrice, query.nowMs) && (chosen === undefined || precedes(listPrice, chosen))) chosen = listPrice;
  }
  return { chosen, changesAtMs };
}

function fits(listPrice: ListPrice, { segment, currency, quantity }: ListPriceQuery): boolean {
  return (
    listPrice.currency === currency &&
    (listPrice.segment === undefined || listPrice.segment === segment) &&
    quantity >= listPrice.minQuantity
  );
}

function isValid({ validFromMs, validToMs }: ListPrice, nowMs: number): boolean {
  return (validFromMs === undefined || validFromMs <= nowMs) && (validToMs === undefined || nowMs < validToMs);
}

function precedes(a: ListPrice, b: ListPrice): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  const bySegment = Number(a.segment !== undefined) - Number(b.segment !== undefined);
  if (bySegment !== 0) return bySegment > 0;
  if (a.minQuantity !== b.minQuantity) return a.minQuantity > b.minQuantity;
  const byTime = timeBounds(a) - timeBounds(b);
  return byTime !== 0 ? byTime > 0 : a.id < b.id;
}

function timeBounds({ validFromMs, validToMs }: ListPrice): number {
  return Number(validFromMs !== undefined) + Number(validToMs !== undefined);
}
