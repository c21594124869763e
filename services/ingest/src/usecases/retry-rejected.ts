import type { CatalogEventData } from "@pricing-engine/contracts";
import type { KeptRejection } from "../adapters/rejection-store.ts";
import type { Digest } from "../domain/identity.ts";
import { makeToInstant } from "../domain/local-time.ts";
import type { Rejection } from "../domain/plan.ts";
import { toCatalogEvent } from "../domain/read-feed.ts";

export type RetryRejected = (
  rejection: KeptRejection,
  timezone: string,
) => Promise<{ kind: "published" } | ({ kind: "refused" } & Rejection)>;

/**
 * Reads a refused plan by today's rules and publishes it under the poll that it came from, so it replaces nothing newer. Whether its
 * zones become products is left to the source's next poll.
 */
export function makeRetryRejected(deps: {
  publish: (event: CatalogEventData) => Promise<void>;
  digest: Digest;
}): RetryRejected {
  return async ({ source, sequence, observedAt, fragment, reason, detail }, timezone) => {
    if (reason === "duplicate") return { kind: "refused", reason, detail };
    const facts = { source, sequence, observedAt: observedAt.toISOString(), products: false, currency: "" };
    const event = toCatalogEvent(fragment, facts, { digest: deps.digest, toInstant: makeToInstant(timezone) });
    if (event.kind === "rejected") {
      const checked = event.reason as Rejection["reason"];
      return { kind: "refused", reason: checked, detail: event.detail };
    }
    await deps.publish(event);
    return { kind: "published" };
  };
}
