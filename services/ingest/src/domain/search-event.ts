import type { CatalogPlan, SearchEvent } from "@pricing-engine/contracts";

/** A plan as `/search` shows it. Zones of capacity 0 count for prices. */
export function toSearchEvent(id: string, plan: CatalogPlan): SearchEvent {
  let lowest: number | undefined;
  let highest: number | undefined;
  for (const { priceHundredths } of plan.zones) {
    if (lowest === undefined || priceHundredths < lowest) lowest = priceHundredths;
    if (highest === undefined || priceHundredths > highest) highest = priceHundredths;
  }
  return {
    id,
    title: plan.title,
    start_date: plan.start.slice(0, 10),
    start_time: plan.start.slice(11),
    end_date: plan.end.slice(0, 10),
    end_time: plan.end.slice(11),
    min_price: lowest === undefined ? null : lowest / 100,
    max_price: highest === undefined ? null : highest / 100,
  };
}
