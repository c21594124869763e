import { z } from "zod";
import { paymentSettings } from "./payment-settings.ts";
import { emptyPolicy, policySchema } from "./policy.ts";
import { sourceSettings } from "./source.ts";

const durationMs = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

const bucket = {
  capacity: z.number().min(1).default(100),
  refillPerSecond: z.number().min(0).default(10),
};

export const rateLimitSettings = z.object({
  ...bucket,
  /** Further limited routes, as `METHOD /path` of the API; `POST /orders` always is. */
  routes: z.array(z.string()).default([]),
  tenants: z
    .array(z.object({ name: z.string(), capacity: bucket.capacity, refillPerSecond: bucket.refillPerSecond }))
    .default([]),
});
export type RateLimitSettings = z.infer<typeof rateLimitSettings>;

/** 0 = a signal of that kind never goes stale. */
const signalTtlMs = z.object({
  demand: durationMs.default(hourMs),
  competitor_price: durationMs.default(hourMs),
  stock: durationMs.default(hourMs),
  cost: durationMs.default(hourMs),
});

export const pricingSettings = z.object({
  currency: z.string().default("EUR"),
  cacheTtlMs: durationMs.default(minuteMs),
  quoteTtlMs: durationMs.default(5 * minuteMs),
  recalculateEveryMs: durationMs.default(hourMs),
  signals: z.object({ ttlMs: signalTtlMs.prefault({}) }).prefault({}),
  policy: policySchema.default(emptyPolicy),
});
export type PricingSettings = z.infer<typeof pricingSettings>;

export const gatewaySettings = z.object({
  auth: z.enum(["none", "apiKey"]).default("none"),
  rateLimit: rateLimitSettings.prefault({}),
  idempotencyTtlMs: durationMs.default(7 * 24 * hourMs),
  allowPurge: z.boolean().default(false),
  backPressure: z.object({ maxLag: z.int().min(1).default(1000) }).prefault({}),
});
export type GatewaySettings = z.infer<typeof gatewaySettings>;

export const ingestSettings = z.object({ sources: z.array(sourceSettings).default([]) });
export type IngestSettings = z.infer<typeof ingestSettings>;

export const ordersSettings = z.object({
  /** A client's price wins over ours. */
  trustClientPrices: z.boolean().default(false),
  /** Attempts of a stage that fails by its own fault. */
  retries: z.int().min(1).max(20).default(3),
  /** An order that stays longer in one state is nudged, and a charge that did not start by then expires. */
  stateTimeoutMs: durationMs.default(15 * minuteMs),
});
export type OrdersSettings = z.infer<typeof ordersSettings>;

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

/**
 * Live settings of one engine: what changes without a restart. Every field has a default and unknown ones are dropped,
 * so that processes of two releases can read each other's documents. Durations are milliseconds.
 */
export const engineSettingsSchema = z.object({
  pricing: pricingSettings.prefault({}),
  gateway: gatewaySettings.prefault({}),
  ingest: ingestSettings.prefault({}),
  payment: paymentSettings.prefault({}),
  orders: ordersSettings.prefault({}),
  telemetry: z.object({ logLevel: z.enum(logLevels).default("info") }).prefault({}),
});
export type EngineSettings = z.infer<typeof engineSettingsSchema>;
