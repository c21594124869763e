import type { CatalogEventData, RawPlan } from "@pricing-engine/contracts";
import { contentHashOf, type Digest, fragmentHashOf, planIdOf, rawPlanIdOf } from "./identity.ts";
import type { ToInstant } from "./local-time.ts";
import { checkPlan, type Rejection } from "./plan.ts";

/** What all plans of one poll have in common. */
export interface PollFacts {
  readonly source: string;
  readonly sequence: number;
  readonly observedAt: string;
  readonly products: boolean;
  /** Of the products; a change of it changes them. */
  readonly currency: string;
}

/** Of a fragment, in UTF-16 units: six bytes each at most, as escapes, so that its message fits too. */
const maxFragmentLength = 64 * 1024;
/** A plan's message must fit into Kafka's 1 MiB with its envelope. */
const maxPlanBytes = 900 * 1024;

/** What a plan of a feed is now. */
export interface ReadEvent {
  readonly event: CatalogEventData;
  /** The event's plan as JSON, made once for its hash and its message; a refused one has none. */
  readonly planJson: string | undefined;
}

export function toCatalogEvent(
  raw: RawPlan,
  facts: PollFacts,
  { digest, toInstant }: { digest: Digest; toInstant: ToInstant },
): ReadEvent {
  const checked = checkPlan(raw, toInstant);
  if (checked.kind === "rejected") return toRejection(raw, facts, checked, digest);
  const { plan } = checked;
  const planJson = JSON.stringify(plan);
  // Three bytes are the most that a UTF-16 unit takes; only plans that might be too large are measured.
  if (planJson.length * 3 > maxPlanBytes && byteLength(planJson) > maxPlanBytes) {
    return toRejection(raw, facts, { reason: "too_large", detail: "the plan is larger than 900 KiB" }, digest);
  }
  const { source, sequence, observedAt, products, currency } = facts;
  const contentHash = contentHashOf(digest, planJson, { products, currency: products ? currency : undefined });
  const id = planIdOf(digest, source, plan.basePlanId, plan.planId);
  return { event: { kind: "plan", id, source, sequence, observedAt, contentHash, products, plan }, planJson };
}

/** A plan that is kept with its reason. Its fragment can be read again unless it is so large that something was left out. */
export function toRejection(
  raw: RawPlan,
  { source, sequence, observedAt }: PollFacts,
  { reason, detail }: Rejection,
  digest: Digest,
): ReadEvent {
  const contentHash = fragmentHashOf(digest, raw, reason);
  // A second plan under ids that another one has must not stand in that one's way.
  const id =
    reason === "duplicate" ? planIdOf(digest, source, "duplicate", contentHash) : rawPlanIdOf(digest, source, raw);
  const fragment = storable(raw);
  const event = { kind: "rejected", id, source, sequence, observedAt, contentHash, reason, detail, fragment } as const;
  return { event, planJson: undefined };
}

function storable(raw: RawPlan): RawPlan {
  let left = maxFragmentLength;
  const keep = (record: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(record).flatMap(([name, value]) => {
        left -= name.length;
        if (left <= 0) return [];
        const text = value.slice(0, Math.min(4000, left)).toWellFormed().replaceAll("\0", "\uFFFD");
        left -= text.length;
        return [[name.toWellFormed().replaceAll("\0", "\uFFFD"), text]];
      }),
    );
  const basePlan = keep(raw.basePlan);
  const plan = keep(raw.plan);
  const zones: Record<string, string>[] = [];
  for (const zone of raw.zones) {
    if (left <= 0) break;
    zones.push(keep(zone));
  }
  return { basePlan, plan, zones };
}

function byteLength(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) bytes += code > 0x7ff ? 2 : 1;
  }
  return bytes;
}
