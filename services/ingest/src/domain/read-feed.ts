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

/** The event that says what a plan of a feed is now. */
export function toCatalogEvent(
  raw: RawPlan,
  facts: PollFacts,
  { digest, toInstant }: { digest: Digest; toInstant: ToInstant },
): CatalogEventData {
  const checked = checkPlan(raw, toInstant);
  if (checked.kind === "rejected") return toRejection(raw, facts, checked, digest);
  const { plan } = checked;
  // Three bytes are the most that a UTF-16 unit takes; only plans that might be too large are measured.
  const length = plan.zones.reduce((sum, zone) => sum + zone.zoneId.length + zone.name.length + 120, 4000);
  if (length * 3 > maxPlanBytes && byteLength(JSON.stringify(plan)) > maxPlanBytes) {
    return toRejection(raw, facts, { reason: "too_large", detail: "the plan is larger than 900 KiB" }, digest);
  }
  const { source, sequence, observedAt, products, currency } = facts;
  return {
    kind: "plan",
    id: planIdOf(digest, source, plan.basePlanId, plan.planId),
    source,
    sequence,
    observedAt,
    contentHash: contentHashOf(digest, plan, { products, currency: products ? currency : undefined }),
    products,
    plan,
  };
}

/** A plan that is kept with its reason. Its fragment can be read again unless it is so large that something was left out. */
export function toRejection(
  raw: RawPlan,
  { source, sequence, observedAt }: PollFacts,
  { reason, detail }: Rejection,
  digest: Digest,
): CatalogEventData {
  const contentHash = fragmentHashOf(digest, raw, reason);
  // A second plan under ids that another one has must not stand in that one's way.
  const id =
    reason === "duplicate" ? planIdOf(digest, source, "duplicate", contentHash) : rawPlanIdOf(digest, source, raw);
  return { kind: "rejected", id, source, sequence, observedAt, contentHash, reason, detail, fragment: storable(raw) };
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
