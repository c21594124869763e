import type { RawPlan } from "@pricing-engine/contracts";
import { JSONParser } from "@streamparser/json";
import { FeedFault, type FeedFormatReader, limits } from "./feed-reader.ts";

/**
 * `{"base_plans": [{"base_plan_id", …, "plans": [{"plan_id", …, "zones": [{"zone_id", …}]}]}]}` with the names of
 * `plan-list-xml`. One base plan at a time is in memory.
 */
export const readJson: FeedFormatReader = (onPlan) => {
  const guard = makeGuard();
  const parser = new JSONParser({ paths: ["$.base_plans.*"], keepStack: false });
  parser.onError = (error) => {
    throw error instanceof FeedFault ? error : new FeedFault(guard.begun() ? "malformed" : "not_a_feed", error.message);
  };
  parser.onValue = ({ value }) => {
    guard.valueEnded();
    for (const plan of toRawPlans(value)) onPlan(plan);
  };
  return {
    write(text) {
      guard.look(text);
      parser.write(text);
    },
    end() {
      if (!guard.begun()) throw new FeedFault("not_a_feed", "the document is empty");
      if (!parser.isEnded) throw new FeedFault("truncated", "the document ends in its middle");
      if (!guard.isFeed()) throw new FeedFault("not_a_feed", "there are no base_plans");
    },
  };
};

/** Depth, size of what is not yet a value, and what the document begins with; looked at before the parser keeps anything of it. */
function makeGuard() {
  let depth = 0;
  let inText = false;
  let escaped = false;
  let begun = false;
  let pending = 0;
  let head = "";
  let found = false;
  return {
    begun: () => begun,
    isFeed: () => found || head.includes('"base_plans"'),
    valueEnded() {
      pending = 0;
      found = true;
    },
    look(text: string) {
      pending += text.length;
      if (pending > limits.jsonBasePlan) throw new FeedFault("too_large", "a base plan is larger than 8 MiB");
      if (head.length < 65_536) head += text.slice(0, 65_536);
      for (let index = 0; index < text.length; index += 1) {
        const code = text.charCodeAt(index);
        if (inText) {
          if (escaped) escaped = false;
          else if (code === 0x5c) escaped = true;
          else if (code === 0x22) inText = false;
          continue;
        }
        if (code === 0x22) inText = true;
        else if (code === 0x7b || code === 0x5b) {
          begun = true;
          depth += 1;
          if (depth > limits.depth) throw new FeedFault("too_deep", `more than ${limits.depth} levels`);
        } else if (code === 0x7d || code === 0x5d) depth -= 1;
        else if (!begun && code > 0x20 && code !== 0xfeff)
          throw new FeedFault("not_a_feed", "the document is no JSON object");
      }
    },
  };
}

function toRawPlans(value: unknown): RawPlan[] {
  if (!isRecord(value)) return [];
  const basePlan = scalars(value);
  const plans = Array.isArray(value.plans) ? value.plans : [];
  return plans.filter(isRecord).map((plan) => {
    const zones = Array.isArray(plan.zones) ? plan.zones : [];
    return { basePlan, plan: scalars(plan), zones: zones.slice(0, limits.zones).filter(isRecord).map(scalars) };
  });
}

/** Texts, numbers and truth values, as text; `null` is absent, and so is a whole number too large to be exact: ids would collide. */
function scalars(record: Readonly<Record<string, unknown>>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(record).slice(0, limits.attributes)) {
    if (typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER) continue;
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
      found[name] = String(value);
  }
  return found;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
