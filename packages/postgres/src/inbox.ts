import type { Pool } from "./pool.ts";
import { query, type Tx } from "./transaction.ts";

/** The inbox of a service, for its migration. One row per message that a consumer has applied. */
export function inboxDdl(schema: string): string {
  return `create table "${schema}".inbox (
  consumer text not null,
  message_id text not null,
  claimed_at timestamptz not null default now(),
  primary key (consumer, message_id)
);
create index inbox_claimed_at on "${schema}".inbox (claimed_at);
`;
}

/**
 * True for the first transaction that claims the message: it applies the effects and commits them with the claim. A second one
 * waits for the first and gets false if that committed, true if it rolled back.
 */
export async function claimInbox(
  tx: Tx,
  claim: { schema: string; consumer: string; messageId: string },
): Promise<boolean> {
  const claimed = await tx.sql`
    insert into ${tx.sql(claim.schema)}.inbox (consumer, message_id) values (${claim.consumer}, ${claim.messageId})
    on conflict do nothing`;
  return claimed.count === 1;
}

/**
 * Forgets claims older than `olderThanMs`, in bites so that no statement is long. What is forgotten must no longer be able to
 * come again, or be guarded by its business key. Returns how many went.
 */
export async function pruneInbox(
  pool: Pool,
  options: { schema: string; olderThanMs: number; biteSize?: number },
): Promise<number> {
  const biteSize = options.biteSize ?? 5000;
  let pruned = 0;
  for (;;) {
    const bite = await query(
      pool,
      10_000,
      ({ sql }) => sql`
        delete from ${sql(options.schema)}.inbox where ctid = any(array(
          select ctid from ${sql(options.schema)}.inbox
          where claimed_at < now() - make_interval(secs => ${options.olderThanMs / 1000})
          limit ${biteSize} for update skip locked))`,
    );
    pruned += bite.count;
    if (bite.count < biteSize) {
      return pruned;
    }
  }
}
