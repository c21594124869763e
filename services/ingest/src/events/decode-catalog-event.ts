import {
  type CatalogEventData,
  type CatalogZone,
  catalogEventMessage,
  catalogLimits,
  isStorableText,
} from "@pricing-engine/contracts";
import { checkEnvelope, parseEnvelope } from "@pricing-engine/kafka";

/**
 * What a message of the topic `catalog-events` says. Throws what {@link checkEnvelope} throws when it is none.
 *
 * Zones are nearly all of a message. Those that are plainly as the schema wants them are let through as they are; the schema, which
 * copies what it has checked, is asked for the rest, and for all of it where a zone is in doubt (decision 0041).
 */
export function decodeCatalogEvent(value: Buffer): CatalogEventData {
  const parsed = parseEnvelope(value);
  const plan = planOf(parsed);
  if (plan === undefined || !arePlainZones(plan.zones)) return checkEnvelope(catalogEventMessage, parsed).data;
  const { zones } = plan;
  plan.zones = [];
  const { data } = checkEnvelope(catalogEventMessage, parsed);
  return data.kind === "plan" ? { ...data, plan: { ...data.plan, zones } } : data;
}

function planOf(message: unknown): { zones?: unknown } | undefined {
  const data = isObject(message) ? message.data : undefined;
  const plan = isObject(data) ? data.plan : undefined;
  return isObject(plan) && Object.hasOwn(plan, "zones") ? plan : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const fieldsOfZone = 5;

/** True only of what the schema would return unchanged. */
function arePlainZones(zones: unknown): zones is CatalogZone[] {
  return Array.isArray(zones) && zones.length <= catalogLimits.zones && zones.every(isPlainZone);
}

function isPlainZone(zone: unknown): zone is CatalogZone {
  if (!isObject(zone) || Object.keys(zone).length !== fieldsOfZone) return false;
  const { zoneId, name, numbered, capacity, priceHundredths } = zone;
  return (
    typeof zoneId === "string" &&
    zoneId.length >= 1 &&
    zoneId.length <= catalogLimits.idLength &&
    isStorableText(zoneId) &&
    typeof name === "string" &&
    name.length <= catalogLimits.labelLength &&
    isStorableText(name) &&
    typeof numbered === "boolean" &&
    isCount(capacity, catalogLimits.capacity) &&
    isCount(priceHundredths, Number.MAX_SAFE_INTEGER)
  );
}

function isCount(value: unknown, most: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most;
}
