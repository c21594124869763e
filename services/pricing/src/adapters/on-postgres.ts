import type { Tx } from "@pricing-engine/postgres";

/** What reads: a transaction, or the connection that `query` lends. */
export type On = Pick<Tx, "sql">;

/** A year from 1 on, in UTC with milliseconds, as Postgres takes it. */
export function toTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** JSON text for a `jsonb` parameter that is sent as text: what is undefined is left out. */
export function toJson(value: unknown): string {
  return JSON.stringify(value);
}
