import { type Pool, query, withTransaction } from "@pricing-engine/postgres";
import type { Caller } from "../domain/access.ts";

export type StoredKey = Pick<Caller, "tenant" | "role"> & { keyId: string; createdAt: Date };

/** Keys in Postgres, by their hash. Everything rejects with AppError postgres_unavailable on an outage. */
export type KeyStore = {
  find(hash: string): Promise<Caller | undefined>;
  insert(key: Pick<Caller, "tenant" | "role"> & { keyId: string; hash: string }): Promise<StoredKey>;
  /** Those in force, of one tenant or of all. */
  list(tenant: string | undefined): Promise<StoredKey[]>;
  /** The hash of the key that was revoked; undefined when there is no such key in force (of that tenant). */
  revoke(keyId: string, tenant: string | undefined): Promise<string | undefined>;
};

const deadlineMs = 3_000;

interface Row {
  key_id: string;
  tenant: string;
  role: Caller["role"];
  created_at: Date;
}

export function makeKeyStore(pool: Pool): KeyStore {
  return {
    async find(hash) {
      const rows = await query(
        pool,
        deadlineMs,
        ({ sql }) =>
          sql<Pick<Row, "tenant" | "role">[]>`
            select tenant, role from gateway.api_keys where hash = ${hash} and revoked_at is null`,
      );
      return rows[0] === undefined ? undefined : { tenant: rows[0].tenant, role: rows[0].role };
    },
    insert: ({ keyId, tenant, role, hash }) =>
      withTransaction(
        pool,
        async ({ sql }) => {
          await sql`insert into gateway.tenants (name) values (${tenant}) on conflict do nothing`;
          const [row] = await sql<Row[]>`
            insert into gateway.api_keys (key_id, tenant, role, hash) values (${keyId}, ${tenant}, ${role}, ${hash})
            returning key_id, tenant, role, created_at`;
          if (row === undefined) throw new Error("an insert returned no row");
          return toStored(row);
        },
        { deadlineMs },
      ),
    async list(tenant) {
      const rows = await query(
        pool,
        deadlineMs,
        ({ sql }) =>
          sql<Row[]>`
            select key_id, tenant, role, created_at from gateway.api_keys
            where revoked_at is null and (${tenant ?? null}::text is null or tenant = ${tenant ?? null})
            order by key_id`,
      );
      return rows.map(toStored);
    },
    async revoke(keyId, tenant) {
      const rows = await query(
        pool,
        deadlineMs,
        ({ sql }) =>
          sql<{ hash: string }[]>`
            update gateway.api_keys set revoked_at = now() where key_id = ${keyId} and revoked_at is null
              and (${tenant ?? null}::text is null or tenant = ${tenant ?? null}) returning hash`,
      );
      return rows[0]?.hash;
    },
  };
}

function toStored({ key_id: keyId, tenant, role, created_at: createdAt }: Row): StoredKey {
  return { keyId, tenant, role, createdAt };
}
