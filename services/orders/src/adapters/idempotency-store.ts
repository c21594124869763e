import type { Sql, Tx } from "@pricing-engine/postgres";
import type { OrderState } from "../domain/saga.ts";
import { toTime } from "./order-rows.ts";

type On = { readonly sql: Sql };

/** A client's key, which is its tenant's alone. */
export interface KeyRef {
  readonly tenantId: string;
  readonly key: string;
}

/** One text for it: neither part can have a U+0000. */
export function keyText({ tenantId, key }: KeyRef): string {
  return `${tenantId}\0${key}`;
}

export interface KnownKey {
  readonly bodyHash: string;
  readonly orderId: string;
  /** What the first request was answered, as JSON. */
  readonly answer: string;
}

/** Those that have placed an order and have not expired, by their `keyText`. */
export async function findKeys({ sql }: On, refs: readonly KeyRef[]): Promise<Map<string, KnownKey>> {
  const rows = await sql<{ tenant_id: string; key: string; body_hash: string; order_id: string; answer: string }[]>`
    select k.tenant_id, k.key, k.body_hash, k.order_id, k.answer
    from unnest(${refs.map(({ tenantId }) => tenantId)}::text[], ${refs.map(({ key }) => key)}::text[]) as r (tenant_id, key)
    join orders.idempotency_keys k using (tenant_id, key) where k.expires_at > now()`;
  return new Map(
    rows.map((row) => [
      keyText({ tenantId: row.tenant_id, key: row.key }),
      { bodyHash: row.body_hash, orderId: row.order_id, answer: row.answer },
    ]),
  );
}

/**
 * The `keyText` of those that their requests have from now on. Others of the same key wait here for the commit, and do not get it; a key
 * that has expired is taken over. Each key comes once; they are locked in one order, by bytes.
 */
export async function claimKeys(
  { sql }: Tx,
  claims: readonly (KeyRef & KnownKey)[],
  ttlMs: number,
): Promise<Set<string>> {
  const claimed = await sql<{ tenant_id: string; key: string }[]>`
    insert into orders.idempotency_keys as k (tenant_id, key, body_hash, order_id, answer, expires_at)
    select tenant_id, key, body_hash, order_id, answer, now() + make_interval(secs => ${ttlMs / 1000})
    from unnest(${claims.map(({ tenantId }) => tenantId)}::text[], ${claims.map(({ key }) => key)}::text[],
      ${claims.map(({ bodyHash }) => bodyHash)}::text[], ${claims.map(({ orderId }) => orderId)}::text[],
      ${claims.map(({ answer }) => answer)}::text[]) as c (tenant_id, key, body_hash, order_id, answer)
    order by tenant_id collate "C", key collate "C"
    on conflict (tenant_id, key) do update set body_hash = excluded.body_hash, order_id = excluded.order_id,
      answer = excluded.answer, expires_at = excluded.expires_at
    where k.expires_at <= now()
    returning k.tenant_id, k.key`;
  return new Set(claimed.map(({ tenant_id: tenantId, key }) => keyText({ tenantId, key })));
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
