import type { MarketFacts, SkippedRule, StepRecord } from "../domain/types.ts";
import type { Fence } from "./candidate-reader.ts";
import { type On, toJson, toTime } from "./on-postgres.ts";
import { rethrowWaiting } from "./outages.ts";

/** A market price that is to take the place of the one in force. */
export interface MarketDecision {
  readonly productId: string;
  readonly fence: Fence;
  readonly factsRevision: number;
  readonly policyVersion: number;
  readonly decidedAtMs: number;
  readonly decisionId: string;
  readonly priceMinor: number;
  readonly currency: string;
  readonly basePriceMinor: number;
  readonly costMinor: number | undefined;
  readonly facts: MarketFacts;
  readonly steps: readonly StepRecord[];
  readonly shadow: readonly StepRecord[];
  readonly skipped: readonly SkippedRule[];
  readonly bindingRule: string | undefined;
  readonly reason: string;
  /** Whether readers can tell it from the one in force: then it gets the next sequence and a place in the history. */
  readonly fresh: boolean;
}

/**
 * Publishes by compare-and-set; returns the products whose decision took its place. The others lost: sequence or facts have
 * moved on, or what is in force was decided later or under a newer policy. Rows are locked first, in the order of product ids, so
 * that batches do not deadlock. What is fresh is appended to the history by the statement that publishes it.
 *
 * @throws AppError `unavailable` when there is no partition for the month: nothing of the transaction may be committed.
 */
export async function publishDecisions(on: On, decisions: readonly MarketDecision[]): Promise<Set<string>> {
  const { sql } = on;
  // A statement of its own: joined to the update, two row sets of unknown size met in a nested loop, a million pairs for 1,000 rows.
  await sql`
    select from pricing.prices where product_id = any(${decisions.map(({ productId }) => productId)}::text[])
    order by product_id for no key update`;
  const rows = await sql<{ product_id: string }[]>`
    with input as (
      select * from json_to_recordset(${toJson(decisions.map(toInput))}::text::json) as u (
        product_id text, expected_sequence bigint, expected_revision bigint, facts_revision bigint, policy_version bigint,
        decided_at timestamptz, decision_id uuid, price_minor bigint, currency text, base_price_minor bigint,
        cost_minor bigint, facts jsonb, steps jsonb, shadow jsonb, skipped jsonb, binding_rule text, reason text,
        fresh boolean)
    ), published as (
      update pricing.prices r set
        sequence = r.sequence + case when u.fresh then 1 else 0 end,
        facts_revision = u.facts_revision, policy_version = u.policy_version, decided_at = u.decided_at,
        decision_id = case when u.fresh then u.decision_id else r.decision_id end,
        price_minor = u.price_minor, currency = u.currency, base_price_minor = u.base_price_minor,
        cost_minor = u.cost_minor, facts = u.facts, steps = u.steps, shadow = u.shadow,
        skipped = u.skipped, binding_rule = u.binding_rule, reason = u.reason
      from input u
      where r.product_id = u.product_id and r.sequence = u.expected_sequence
        and r.facts_revision = u.expected_revision and r.facts_revision <= u.facts_revision
        and r.policy_version <= u.policy_version and r.decided_at <= u.decided_at
      returning r.*, u.fresh
    ), appended as (
      insert into pricing.price_history (product_id, decided_at, sequence, decision_id, price_minor, currency,
        policy_version, facts_revision, facts, steps, shadow, skipped, binding_rule, reason)
      select product_id, decided_at, sequence, decision_id, price_minor, currency, policy_version, facts_revision, facts,
        steps, shadow, skipped, binding_rule, reason
      from published where fresh
    )
    select product_id from published`.catch(rethrowWaiting);
  return new Set(rows.map((row) => row.product_id));
}

function toInput(decision: MarketDecision): Record<string, unknown> {
  return {
    product_id: decision.productId,
    expected_sequence: decision.fence.sequence,
    expected_revision: decision.fence.factsRevision,
    facts_revision: decision.factsRevision,
    policy_version: decision.policyVersion,
    decided_at: toTime(decision.decidedAtMs),
    decision_id: decision.decisionId,
    price_minor: decision.priceMinor,
    currency: decision.currency,
    base_price_minor: decision.basePriceMinor,
    cost_minor: decision.costMinor,
    facts: decision.facts,
    steps: decision.steps,
    shadow: decision.shadow,
    skipped: decision.skipped,
    binding_rule: decision.bindingRule,
    reason: decision.reason,
    fresh: decision.fresh,
  };
}
