import { type EngineSettings, engineSettingsSchema } from "@pricing-engine/contracts";
import type { PricingEngine } from "../api/resource.ts";
import type { ProcessorName, Verdict } from "./failover.ts";
import type { PlanContext } from "./plan.ts";

/** The source of a resource that names none. Its interval is short: changes are seen at once. */
const samples = { name: "samples", format: "event-list-xml", intervalMs: 1_000, timeoutMs: 10_000 } as const;

/** The live settings of a resource: what changes without a restart. */
export function makeSettings(
  { spec }: PricingEngine,
  { samplesUrl }: Pick<PlanContext, "samplesUrl"> = {},
): EngineSettings {
  const { gateway, ingest, orders, payment, pricing, telemetry } = spec;
  return engineSettingsSchema.parse({
    pricing: pricing && {
      currency: pricing.currency,
      cacheTtlMs: pricing.cacheTtl.ms,
      quoteTtlMs: pricing.quoteTtl.ms,
      recalculateEveryMs: pricing.recalculateEvery.ms,
      signals: {
        ttlMs: {
          demand: pricing.signals.ttl.demand.ms,
          competitor_price: pricing.signals.ttl.competitor_price.ms,
          stock: pricing.signals.ttl.stock.ms,
          cost: pricing.signals.ttl.cost.ms,
        },
      },
      policy: pricing.policy,
    },
    gateway: gateway && {
      auth: gateway.auth,
      rateLimit: gateway.rateLimit,
      idempotencyTtlMs: gateway.idempotencyTtl.ms,
      allowPurge: gateway.allowPurge,
      backPressure: gateway.backPressure,
    },
    ingest: ingest && {
      sources:
        ingest.sources?.map(({ name, url, format, interval, timeout, timezone, products }) => {
          return { name, url, format, intervalMs: interval.ms, timeoutMs: timeout.ms, timezone, products };
        }) ?? (samplesUrl === undefined ? [] : [{ ...samples, url: samplesUrl }]),
    },
    payment: payment && {
      routing: {
        maxHoldMs: payment.routing.maxHold.ms,
        preferDefaultBelowMs: payment.routing.preferDefaultBelow.ms,
        maxLatencyRatio: payment.routing.maxLatencyRatio,
      },
      maxVerdictAgeMs: payment.failover.maxVerdictAge.ms,
    },
    orders: orders && {
      trustClientPrices: orders.trustClientPrices,
      retries: orders.retries,
      stateTimeoutMs: orders.stateTimeout.ms,
    },
    telemetry: { logLevel: telemetry.logLevel },
  });
}

/** The prober's verdicts travel with the settings: the same way, and as fast. */
export function withVerdicts(
  settings: EngineSettings,
  verdicts: Readonly<Record<ProcessorName, Verdict>>,
): EngineSettings {
  const told = ({ state, checkedAtMs, minResponseTimeMs }: Verdict) => ({ state, checkedAtMs, minResponseTimeMs });
  const { default: cheap, fallback } = verdicts;
  return {
    ...settings,
    payment: { ...settings.payment, verdicts: { default: told(cheap), fallback: told(fallback) } },
  };
}
