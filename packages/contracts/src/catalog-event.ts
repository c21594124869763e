import { z } from "zod";
import { envelopeOf } from "./envelope.ts";
import { maxIdLength, text } from "./text.ts";
import { timeInput } from "./time.ts";

/** Texts in UTF-16 units. */
export const catalogLimits = {
  idLength: maxIdLength,
  labelLength: 1000,
  zones: 2000,
  capacity: 2_147_483_647,
} as const;

const id = text({ min: 1, max: catalogLimits.idLength });
const label = text({ min: 0, max: catalogLimits.labelLength });
/** `2021-06-30T21:00:00`, as the source gives it, in its own time. */
const localTime = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);

export const catalogZone = z.object({
  zoneId: id,
  name: label,
  numbered: z.boolean(),
  capacity: z.int().min(0).max(catalogLimits.capacity),
  /** Hundredths of the source's currency, which no feed names. */
  priceHundredths: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
});
export type CatalogZone = z.infer<typeof catalogZone>;

export const catalogPlan = z.object({
  basePlanId: id,
  planId: id,
  title: label,
  online: z.boolean(),
  soldOut: z.boolean(),
  organizerCompanyId: id.optional(),
  start: localTime,
  end: localTime,
  startsAtMs: z.int(),
  endsAtMs: z.int(),
  sellFromMs: z.int().optional(),
  sellToMs: z.int().optional(),
  zones: z.array(catalogZone).max(catalogLimits.zones),
});
export type CatalogPlan = z.infer<typeof catalogPlan>;

/** A plan as it was read, by the names of `plan-list-xml`; every value is text. */
export const rawPlan = z.object({
  basePlan: z.record(z.string(), z.string()),
  plan: z.record(z.string(), z.string()),
  zones: z.array(z.record(z.string(), z.string())),
});
export type RawPlan = z.infer<typeof rawPlan>;

const common = {
  /** Of the plan: made of source, base plan and plan. A rejected one without ids has that of its content. */
  id: z.uuid(),
  source: text({ min: 1, max: 63 }),
  /** Of the poll: grows with every poll of the source, whoever polls. */
  sequence: z.int().min(1),
  contentHash: z.string().min(1).max(64),
  observedAt: timeInput,
};

/** Topic `catalog-events`, key = id of the plan. */
export const catalogEventData = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("plan"),
    ...common,
    /** Whether the zones become products. */
    products: z.boolean(),
    plan: catalogPlan,
  }),
  z.object({
    kind: z.literal("rejected"),
    ...common,
    reason: text({ min: 1, max: 64 }),
    detail: text({ min: 0, max: 500 }),
    fragment: rawPlan,
  }),
]);
export type CatalogEventData = z.infer<typeof catalogEventData>;
export const catalogEventMessage = envelopeOf("catalog-event", catalogEventData);
export type CatalogEventMessage = z.infer<typeof catalogEventMessage>;
