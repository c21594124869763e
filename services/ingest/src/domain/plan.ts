import {
  type CatalogPlan,
  type CatalogZone,
  catalogLimits,
  findWallTime,
  isNamableInstant,
  type RawPlan,
  type WallTime,
} from "@pricing-engine/contracts";
import type { ToInstant } from "./local-time.ts";

export const rejectionReasons = [
  "identity_missing",
  "text_invalid",
  "title_missing",
  "sell_mode_invalid",
  "date_missing",
  "date_invalid",
  "ends_before_start",
  "price_missing",
  "price_invalid",
  "capacity_missing",
  "capacity_invalid",
  "flag_invalid",
  "zone_id_missing",
  "too_many_zones",
  "too_large",
  "duplicate",
] as const;
export type RejectionReason = (typeof rejectionReasons)[number];

export type Rejection = { readonly reason: RejectionReason; readonly detail: string };
export type CheckedPlan =
  | { readonly kind: "plan"; readonly plan: CatalogPlan }
  | ({ readonly kind: "rejected" } & Rejection);

// Thirteen digits before the point: in hundredths it is still a safe integer.
const priceShape = /^\d{1,13}(?:\.\d{1,2})?$/;
const capacityShape = /^\d{1,10}$/;

class Refused extends Error {
  readonly rejection: Rejection;
  constructor(reason: RejectionReason, detail: string) {
    super(detail);
    this.rejection = { reason, detail: detail.slice(0, 500).toWellFormed().replaceAll("\0", "\uFFFD") };
  }
}

/** What a plan says, when all of it can be true; else the first thing that cannot. */
export function checkPlan(raw: RawPlan, toInstant: ToInstant): CheckedPlan {
  try {
    return { kind: "plan", plan: readPlan(raw, toInstant) };
  } catch (error) {
    if (error instanceof Refused) return { kind: "rejected", ...error.rejection };
    throw error;
  }
}

function readPlan({ basePlan, plan, zones }: RawPlan, toInstant: ToInstant): CatalogPlan {
  const basePlanId = readId(basePlan.base_plan_id, "base_plan_id", "identity_missing");
  const planId = readId(plan.plan_id, "plan_id", "identity_missing");
  const title = readText(basePlan.title, "title");
  if (title === "") throw new Refused("title_missing", "title is missing");
  const organizer = basePlan.organizer_company_id;
  const start = readTime(plan, "plan_start_date");
  const end = readTime(plan, "plan_end_date");
  if (start === undefined || end === undefined) {
    throw new Refused("date_missing", `${start === undefined ? "plan_start_date" : "plan_end_date"} is missing`);
  }
  const instantOf = (time: WallTime): number => {
    const ms = toInstant(time);
    if (!isNamableInstant(ms)) throw new Refused("date_invalid", `${time.local} is out of the years 1 to 9999 in UTC`);
    return ms;
  };
  const startsAtMs = instantOf(start);
  const endsAtMs = instantOf(end);
  if (endsAtMs < startsAtMs) {
    throw new Refused("ends_before_start", `plan_end_date ${end.local} is before plan_start_date ${start.local}`);
  }
  const sellFrom = readTime(plan, "sell_from");
  const sellTo = readTime(plan, "sell_to");
  if (zones.length > catalogLimits.zones) throw new Refused("too_many_zones", `more than ${catalogLimits.zones} zones`);
  return {
    basePlanId,
    planId,
    title,
    online: readSellMode(basePlan.sell_mode),
    soldOut: readFlag(plan.sold_out, "sold_out"),
    ...(organizer === undefined || organizer === ""
      ? {}
      : { organizerCompanyId: readId(organizer, "organizer_company_id", "text_invalid") }),
    start: start.local,
    end: end.local,
    startsAtMs,
    endsAtMs,
    ...(sellFrom === undefined ? {} : { sellFromMs: instantOf(sellFrom) }),
    ...(sellTo === undefined ? {} : { sellToMs: instantOf(sellTo) }),
    zones: zones.map(readZone),
  };
}

function readZone(zone: Readonly<Record<string, string>>): CatalogZone {
  const zoneId = readId(zone.zone_id, "zone_id", "zone_id_missing");
  const capacity = zone.capacity?.trim() ?? "";
  if (capacity === "") throw new Refused("capacity_missing", `zone ${zoneId}: capacity is missing`);
  if (!capacityShape.test(capacity) || Number(capacity) > catalogLimits.capacity) {
    throw new Refused("capacity_invalid", `zone ${zoneId}: capacity ${quote(capacity)} is no count`);
  }
  return {
    zoneId,
    name: readText(zone.name, "name"),
    numbered: readFlag(zone.numbered, "numbered"),
    capacity: Number(capacity),
    priceHundredths: readPrice(zone.price, zoneId),
  };
}

function readPrice(value: string | undefined, zoneId: string): number {
  const text = value?.trim() ?? "";
  if (text === "") throw new Refused("price_missing", `zone ${zoneId}: price is missing`);
  if (!priceShape.test(text)) {
    throw new Refused("price_invalid", `zone ${zoneId}: price ${quote(text)} is no amount with at most 2 decimals`);
  }
  // Exact: of at most fifteen digits neither step is off by more than a tenth of a hundredth.
  return Math.round(Number(text) * 100);
}

function readId(value: string | undefined, name: string, reason: RejectionReason): string {
  const text = value?.trim() ?? "";
  if (text === "") throw new Refused(reason, `${name} is missing`);
  if (text.length > catalogLimits.idLength)
    throw new Refused("text_invalid", `${name} is longer than ${catalogLimits.idLength} characters`);
  return storable(text, name);
}

function readText(value: string | undefined, name: string): string {
  const text = value?.trim() ?? "";
  if (text.length > catalogLimits.labelLength) {
    throw new Refused("text_invalid", `${name} is longer than ${catalogLimits.labelLength} characters`);
  }
  return storable(text, name);
}

function storable(text: string, name: string): string {
  if (!text.includes("\0") && text.isWellFormed()) return text;
  throw new Refused("text_invalid", `${name} holds U+0000 or a lone surrogate`);
}

function readTime(plan: Readonly<Record<string, string>>, name: string): WallTime | undefined {
  const text = plan[name]?.trim() ?? "";
  if (text === "") return undefined;
  const time = findWallTime(text);
  if (time === undefined) throw new Refused("date_invalid", `${name} ${quote(text)} is no date and time`);
  return time;
}

function readSellMode(value: string | undefined): boolean {
  const mode = value?.trim().toLowerCase();
  if (mode === "online") return true;
  if (mode === "offline") return false;
  throw new Refused("sell_mode_invalid", `sell_mode ${quote(value ?? "")} is neither online nor offline`);
}

function readFlag(value: string | undefined, name: string): boolean {
  const flag = value?.trim().toLowerCase() ?? "";
  if (flag === "" || flag === "false" || flag === "0") return false;
  if (flag === "true" || flag === "1") return true;
  throw new Refused("flag_invalid", `${name} ${quote(flag)} is neither true nor false`);
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 64));
}
