import type { Logger } from "@pricing-engine/chassis/log";
import type { Pool } from "@pricing-engine/postgres";
import type { MarkCommitted } from "./mark-committed.ts";
import type { PublishPrices } from "./publish-prices.ts";

/** What the verbs of this service stand on. */
export interface Deps {
  readonly pool: Pool;
  /** `<namespace>.<engine>.` */
  readonly prefix: string;
  readonly publishPrices: PublishPrices;
  readonly markCommitted: MarkCommitted;
  readonly logger: Logger;
}

/** For one request's transaction; a bulk one may take longer. */
export const deadlineMs = 5_000;
export const bulkDeadlineMs = 30_000;
/** Of a bulk transaction: who is silent for longer between its statements is paused, and its group has given it up as well. */
export const bulk = { deadlineMs: bulkDeadlineMs, silenceMs: 10_000 };
