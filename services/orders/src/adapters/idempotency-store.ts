import type { Sql, Tx } from "@pricing-engine/postgres";
import type { OrderState } from "../domain/saga.ts";
import { toTime } from "./order-rows.ts";

type On = { readonly sql: Sql };

export interface KnownKey {
  readonly bodyHash: string;
  readonly orderId: string;
  /** What the first request was answered, as JSON. */
  readonly answer: string;
}

export async function findKey({ sql }: On, tenantId: string, key: string): Promise<KnownKey | undefined> {
  const [row] = await sql<{ body_hash: string; order_id: string; answer: string }[]>`
    select body_hash, order_id, answer from orders.idempotency_keys
    where tenant_id = ${tenantId} and key = ${key} and expires_at > now()`;
  return row && { bodyHash: row.body_hash, orderId: row.order_id, answer: row.answer };
}

/**
 * True for the one request that has the key from now on. Others of the same key wait here for its commit, and get false; a key
 * that has expired is taken over.
 */
export async function claimKey(
  { sql }: Tx,
  claim: KnownKey & { tenantId: string; key: string; ttlMs: number },
): Promise<boolean> {
  const claimed = await sql`
    insert into orders.idempotency_keys as k (tenant_id, key, body_hash, order_id, answer, expires_at)
    values (${claim.tenantId}, ${claim.key}, ${claim.bodyHash}, ${claim.orderId}, ${claim.answer},
      now() + make_interval(secs => ${claim.ttlMs / 1000}))
    on conflict (tenant_id, key) do update set body_hash = excluded.body_hash, order_id = excluded.order_id,
      answer = excluded.answer, expires_at = excluded.expires_at
    where k.expires_at <= now()`;
  return claimed.count === 1;
}

export async function findKeyState(
  { sql }: On,
  tenantId: string,
  key: string,
): Promise<{ orderId: string; status: OrderState["status"] | undefined; expiresAt: string } | undefined> {
  const [row] = await sql<{ order_id: string; status: OrderState["status"] | null; expires_ms: number }[]>`
    select k.order_id, o.status, extract(epoch from k.expires_at)::float8 * 1000 as expires_ms
    from orders.idempotency_keys k
    left join orders.order_keys w on w.order_id = k.order_id
    left join orders.orders o on o.order_id = w.order_id and o.created_at = w.created_at
    where k.tenant_id = ${tenantId} and k.key = ${key} and k.expires_at > now()`;
  return row && { orderId: row.order_id, status: row.status ?? undefined, expiresAt: toTime(row.expires_ms) };
}

/** Forgets a bite of the keys that have expired; resolves with how many. */
export async function pruneKeys({ sql }: On, limit: number): Promise<number> {
  const pruned = await sql`
    delete from orders.idempotency_keys where ctid = any(array(
      select ctid from orders.idempotency_keys where expires_at <= now() limit ${limit} for update skip locked))`;
  return pruned.count;
}
