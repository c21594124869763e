import { stock } from "@pricing-engine/contracts";
import type { OutboxRow } from "@pricing-engine/postgres";
import { z } from "zod";
import type { PlanEvent } from "../domain/newest.ts";
import type { ProductChanges } from "../domain/products.ts";

export const sinks = { revision: "search-revision", products: "products" } as const;

export const productPayload = z.object({
  /** `<plan>.<sequence>`: makes the ids of the market events, the same on each delivery. */
  changeId: z.string(),
  observedAt: z.string(),
  writes: z.array(z.unknown()),
  stocks: z.array(z.object({ productId: z.string(), stock })),
});
export type ProductPayload = z.infer<typeof productPayload>;

/** The products of a plan, for pricing. Rows of one plan are delivered in their order. */
export function productRow({ id, sequence, observedAt }: PlanEvent, { writes, stocks }: ProductChanges): OutboxRow {
  const payload: ProductPayload = {
    changeId: `${id}.${sequence}`,
    observedAt,
    writes: [...writes],
    stocks: [...stocks],
  };
  return { aggregate: id, sink: sinks.products, topic: "products", key: id, payload: JSON.stringify(payload) };
}

/** The revision that searches must show from now on. */
export function revisionRow(revision: number): OutboxRow {
  return { aggregate: "catalogue", sink: sinks.revision, topic: "revision", key: null, payload: String(revision) };
}
