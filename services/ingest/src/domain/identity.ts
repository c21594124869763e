import type { CatalogZone, RawPlan } from "@pricing-engine/contracts";

/** A digest of at least 32 hex digits that never changes from release to release (SHA-256). */
export type Digest = (text: string) => string;

/** A UUID (version 8, RFC 9562) made of texts; different texts give different ones. */
export function stableUuid(digest: Digest, parts: readonly string[]): string {
  const hex = digest(JSON.stringify(parts));
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The id in `/search`: the same for ever, whatever else changes in the plan. */
export function planIdOf(digest: Digest, source: string, basePlanId: string, planId: string): string {
  return stableUuid(digest, ["plan", source, basePlanId, planId]);
}

/** Of a rejected plan: its own when it says who it is; else that of its content. */
export function rawPlanIdOf(digest: Digest, source: string, raw: RawPlan): string {
  const basePlanId = raw.basePlan.base_plan_id?.trim() ?? "";
  const planId = raw.plan.plan_id?.trim() ?? "";
  if (basePlanId !== "" && planId !== "") return planIdOf(digest, source, basePlanId, planId);
  return stableUuid(digest, ["fragment", source, JSON.stringify(raw)]);
}

/**
 * What must change for a plan to be published again; how it is read (zone, products) is part of it.
 * @param planJson the plan, as `JSON.stringify` makes it
 */
export function contentHashOf(
  digest: Digest,
  planJson: string,
  { products, currency }: { products: boolean; currency?: string | undefined },
): string {
  return digest(`[1,${products},${JSON.stringify(currency ?? null)},${planJson}]`).slice(0, 32);
}

export function fragmentHashOf(digest: Digest, raw: RawPlan, reason: string): string {
  return digest(JSON.stringify([1, reason, raw])).slice(0, 32);
}

/**
 * Product ids of a plan's zones, in their order. Providers repeat zone ids, so name and numbering belong to a zone's identity;
 * full namesakes are told apart by their order. The plan's id begins each, so a plan's products lie together.
 */
export function productIdsOf(digest: Digest, id: string, zones: readonly CatalogZone[]): string[] {
  const seen = new Map<string, number>();
  return zones.map(({ zoneId, name, numbered }) => {
    const key = JSON.stringify([zoneId, name, numbered]);
    const ordinal = seen.get(key) ?? 0;
    seen.set(key, ordinal + 1);
    return `${id}.${digest(JSON.stringify([key, ordinal])).slice(0, 12)}`;
  });
}
