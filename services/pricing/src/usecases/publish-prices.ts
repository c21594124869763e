import { AppError } from "@pricing-engine/chassis/errors";
import type { Logger } from "@pricing-engine/chassis/log";
import { formatMinor } from "@pricing-engine/money";
import type { OutboxRow, Tx } from "@pricing-engine/postgres";
import { uuidv7 } from "uuidv7";
import { type Candidate, readCandidates } from "../adapters/candidate-reader.ts";
import type { CompiledPolicies, CompiledPolicy } from "../adapters/compiled-policies.ts";
import { decisionMetrics } from "../adapters/metrics.ts";
import { type PublishedPrice, priceRows } from "../adapters/outbox-rows.ts";
import { type MarketDecision, publishDecisions } from "../adapters/price-publisher.ts";
import { publish } from "../domain/publish.ts";
import { recordSteps } from "../domain/steps.ts";

export interface PublishOutcome {
  /** Products that were decided. Those that were asked for and are not among them are gone. */
  readonly decided: readonly string[];
  /** Among them, those whose price readers now see change. */
  readonly changed: readonly string[];
  /** For the caller to append, last in its transaction. */
  readonly outboxRows: readonly OutboxRow[];
}

export interface PublishRequest {
  readonly productIds: readonly string[];
  /** A product that was written gets a new sequence also when its price stays: what quotes read has changed. */
  readonly written: boolean;
}

/** Decides and publishes, in the caller's transaction. */
export type PublishPrices = (tx: Tx, request: PublishRequest) => Promise<PublishOutcome>;

// A decision is some kilobytes, several times over on its way: a chunk of a thousand at once would be tens of megabytes.
const maxAtOnce = 250;
// Each round loses only to somebody else's commit, so this many in a row means that something is wrong.
const maxRounds = 20;

/**
 * Reads the facts, decides, publishes by compare-and-set, and lets losers decide again on what is there now. Every round reads anew,
 * so what is published always follows from the newest facts and policy.
 *
 * @throws AppError `unavailable` after 20 lost rounds.
 */
export function makePublishPrices(deps: { prefix: string; policies: CompiledPolicies; logger: Logger }): PublishPrices {
  async function publishSome(tx: Tx, productIds: readonly string[], written: boolean): Promise<Published[]> {
    const published: Published[] = [];
    let open = productIds;
    for (let round = 0; open.length > 0; round += 1) {
      if (round === maxRounds) {
        throw new AppError("unavailable", { detail: "the prices kept changing under this decision" });
      }
      const candidates = await readCandidates(tx, open);
      const decisions: Decided[] = [];
      for (const candidate of candidates) {
        const compiled = await deps.policies.get(tx, candidate.policyVersion);
        decisions.push(decide(candidate, compiled, written, deps.logger));
      }
      const won = decisions.length === 0 ? new Set<string>() : await publishDecisions(tx, decisions);
      const lost: string[] = [];
      for (const decision of decisions) {
        const { productId, moved, fresh } = decision;
        if (won.has(productId)) published.push({ productId, moved, fresh, change: toPublished(decision) });
        else lost.push(productId);
      }
      decisionMetrics.lost.inc(lost.length);
      open = lost;
    }
    return published;
  }

  return async (tx, { productIds, written }) => {
    const decided: string[] = [];
    const changed: string[] = [];
    const published: PublishedPrice[] = [];
    // In one order throughout, the order in which rows are locked.
    const ordered = [...new Set(productIds)].sort();
    for (let start = 0; start < ordered.length; start += maxAtOnce) {
      for (const decision of await publishSome(tx, ordered.slice(start, start + maxAtOnce), written)) {
        decided.push(decision.productId);
        if (decision.moved) changed.push(decision.productId);
        if (decision.fresh) published.push(decision.change);
      }
    }
    decisionMetrics.decided.inc(decided.length);
    decisionMetrics.changed.inc(changed.length);
    return { decided, changed, outboxRows: priceRows(deps.prefix, published) };
  };
}

/** What is kept of a decision once it is published. */
interface Published {
  readonly productId: string;
  readonly moved: boolean;
  readonly fresh: boolean;
  readonly change: PublishedPrice;
}

type Decided = MarketDecision & { readonly moved: boolean };

function decide(candidate: Candidate, compiled: CompiledPolicy, written: boolean, logger: Logger): Decided {
  const { facts, inForce, nowMs } = candidate;
  const price = publish(facts, compiled.policy, { nowMs, signalTtlMs: compiled.signalTtlMs });
  if (price.alert !== undefined) {
    decisionMetrics.alerts.inc({ code: price.alert.code });
    logger.warn({ productId: price.productId, alert: price.alert }, "a price needs attention");
  }
  const moved = price.priceMinor !== inForce.priceMinor || price.currency !== inForce.currency;
  return {
    productId: price.productId,
    fence: candidate.fence,
    factsRevision: candidate.factsRevision,
    policyVersion: compiled.version,
    decidedAtMs: nowMs,
    decisionId: uuidv7(),
    priceMinor: price.priceMinor,
    currency: price.currency,
    basePriceMinor: price.basePriceMinor,
    costMinor: price.costMinor,
    facts,
    steps: recordSteps(price.steps, price.currency),
    shadow: recordSteps(price.shadow, price.currency),
    skipped: price.skipped,
    bindingRule: price.bindingRule,
    reason: price.reason,
    moved,
    fresh: written || moved || price.costMinor !== inForce.costMinor || price.basePriceMinor !== inForce.basePriceMinor,
  };
}

function toPublished(decision: Decided): PublishedPrice {
  return {
    productId: decision.productId,
    price: formatMinor(decision.priceMinor, decision.currency),
    currency: decision.currency,
    sequence: decision.fence.sequence + 1,
    policyVersion: decision.policyVersion,
    decisionId: decision.decisionId,
    decidedAt: new Date(decision.decidedAtMs).toISOString(),
    reason: decision.reason,
  };
}
