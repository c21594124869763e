import { policySchema } from "@pricing-engine/contracts";
import { z } from "zod";
import { duration, relation, workers } from "./fields.ts";
import { refuseContradictions } from "./policy-relations.ts";

const signals = z
  .strictObject({
    ttl: z
      .strictObject({
        demand: duration("Demand.").prefault("1h"),
        competitor_price: duration("A competitor's price.").prefault("6h"),
        stock: duration("Stock told by an event.").prefault("24h"),
        cost: duration("Cost told by an event.").prefault("0s"),
      })
      .prefault({})
      .describe("How long a signal counts after it was observed; 0s = until a newer one comes."),
  })
  .prefault({})
  .describe("What market events tell.");

export const pricing = z
  .strictObject({
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, { error: "expected an ISO 4217 code such as EUR" })
      .default("EUR")
      .describe("Currency of products that name none."),
    cacheTtl: duration("How long a price is answered from the cache.", { atLeast: "1s", atMost: "24h" }).prefault(
      "60s",
    ),
    quoteTtl: duration("How long a `decision_id` may be used; longer than cacheTtl.", {
      atLeast: "1s",
      atMost: "24h",
    }).prefault("5m"),
    recalculateEvery: duration(
      "All prices are made anew this often, for what changes with time alone; 0s = never.",
    ).prefault("1h"),
    signals,
    policy: policySchema
      .superRefine(refuseContradictions)
      .optional()
      .describe("Rules that make the price. Without it a price is the base price, never below cost."),
    workers: workers.prefault({}),
  })
  .refine(
    (value) => value.quoteTtl.ms > value.cacheTtl.ms,
    relation(["quoteTtl", "cacheTtl"], "quoteTtl", "must be longer than cacheTtl"),
  )
  .describe("Products, prices and their policy.");
