import type { KeptRejection } from "../adapters/rejection-store.ts";
import type { Digest } from "../domain/identity.ts";
import { makeToInstant } from "../domain/local-time.ts";
import type { Rejection } from "../domain/plan.ts";
import { type ReadEvent, toCatalogEvent } from "../domain/read-feed.ts";

export type RetryRejected = (
  rejection: KeptRejection,
  timezone: string,
) => Promise<{ kind: "published" } | ({ kind: "refused" } & Rejection)>;

/**
 * Reads a refused plan by today's rules and publishes it under the poll that it came from, so it replaces nothing newer. Whether its
 * zones become products is left to the source's next poll.
 */
export function makeRetryRejected(deps: {
  publish: (read: ReadEvent) => Promise<void>;
  digest: Digest;
}): RetryRejected {
  return async ({ source, sequence, observedAt, fragment, reason, detail }, timezone) => {
    if (reason === "duplicate") return { kind: "refused", reason, detail };
    const facts = { source, sequence, observedAt: observedAt.toISOString(), products: false, currency: "" };
    const read = toCatalogEvent(fragment, facts, { digest: deps.digest, toInstant: makeToInstant(timezone) });
    if (read.event.kind === "rejected") {
      const checked = read.event.reason as Rejection["reason"];
      return { kind: "refused", reason: checked, detail: read.event.detail };
    }
    await deps.publish(read);
    return { kind: "published" };
  };
}
