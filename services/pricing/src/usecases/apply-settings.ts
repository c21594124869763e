import { isDeepStrictEqual } from "node:util";
import type { Logger } from "@pricing-engine/chassis/log";
import type { PricingSettings } from "@pricing-engine/contracts";
import { appendOutbox, query, withTransaction } from "@pricing-engine/postgres";
import { policyMetrics } from "../adapters/metrics.ts";
import { policyRow } from "../adapters/outbox-rows.ts";
import {
  advancePolicy,
  getNewestPolicy,
  insertPolicy,
  lockPolicies,
  type StoredPolicy,
} from "../adapters/policy-store.ts";
import { readClock } from "../adapters/product-lookup.ts";
import { schemaName } from "../adapters/schema.ts";
import { compilePolicy } from "../domain/compile-policy.ts";
import type { PolicyError } from "../domain/types.ts";
import { type Deps, deadlineMs } from "./deps.ts";
import { requestTask } from "./request-task.ts";

export interface PricingDocument {
  /** Of the writer's term; a later term wins over any revision of an earlier one. */
  readonly epoch: number;
  readonly revision: number;
  readonly pricing: Pick<PricingSettings, "policy" | "signals">;
}

export type ApplySettingsResult =
  | { readonly kind: "inserted"; readonly version: number; readonly taskId: string }
  /** The policy in force says the same. */
  | { readonly kind: "unchanged"; readonly version: number }
  /** A newer document was applied before. */
  | { readonly kind: "older"; readonly version: number }
  | { readonly kind: "refused"; readonly errors: readonly PolicyError[] };

export type ApplySettings = (document: PricingDocument) => Promise<ApplySettingsResult>;

/**
 * Makes the policy of the live settings the one in force, for all replicas at once, and asks for everything to be recalculated.
 * Every replica calls it with every document: one inserts, the others find it done. A policy that does not compile is refused and the
 * last good one stays. The version reaches the cache through the outbox.
 */
export function makeApplySettings(deps: Pick<Deps, "pool" | "prefix"> & { logger: Logger }): ApplySettings {
  const { pool, prefix, logger } = deps;
  return async (document) => {
    const compiled = compilePolicy(document.pricing.policy);
    if (!compiled.ok) {
      policyMetrics.refused.inc();
      logger.error({ revision: document.revision, errors: compiled.errors }, "policy refused, the last good one stays");
      return { kind: "refused", errors: compiled.errors };
    }
    // Most calls change nothing, and need no lock to find that out.
    const seen = await query(pool, deadlineMs, (on) => getNewestPolicy(on));
    if (compare(document, seen) !== "newer") return { kind: "older", version: seen.version };
    return withTransaction(
      pool,
      async (tx) => {
        await lockPolicies(tx);
        const newest = await getNewestPolicy(tx);
        if (compare(document, newest) !== "newer") return { kind: "older", version: newest.version };
        const place = { epoch: document.epoch, settingsRevision: document.revision };
        const { policy, signals } = document.pricing;
        if (
          isDeepStrictEqual(plain(policy), plain(newest.policy)) &&
          isDeepStrictEqual(plain(signals.ttlMs), plain(newest.signalTtlMs))
        ) {
          await advancePolicy(tx, { version: newest.version, ...place });
          return { kind: "unchanged", version: newest.version };
        }
        const version = newest.version + 1;
        await insertPolicy(tx, { version, policy, signalTtlMs: signals.ttlMs, ...place });
        const observedAt = new Date(await readClock(tx)).toISOString();
        const data = { kind: "recalculate", observedAt } as const;
        const { taskId, outboxRows } = await requestTask(tx, prefix, { origin: "policy", data });
        await appendOutbox(tx, { schema: schemaName }, [policyRow(version), ...outboxRows]);
        logger.info({ version, ...place, taskId }, "policy in force");
        return { kind: "inserted", version, taskId };
      },
      { deadlineMs },
    );
  };
}

/** As it is after a round through JSON: the newest one has been there. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function compare(document: PricingDocument, known: StoredPolicy): "newer" | "not newer" {
  if (document.epoch !== known.epoch) return document.epoch > known.epoch ? "newer" : "not newer";
  return document.revision > known.settingsRevision ? "newer" : "not newer";
}
