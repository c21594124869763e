import { type Policy as PolicyDocument, policySchema } from "@pricing-engine/contracts";
import { z } from "zod";
import { type SignalTtl, signalKinds } from "../domain/types.ts";
import { type On, toJson } from "./on-postgres.ts";

/** A row of `policies`. All but the place in the stream of settings is immutable. */
export interface StoredPolicy {
  readonly version: number;
  readonly policy: PolicyDocument;
  readonly signalTtlMs: SignalTtl;
  readonly epoch: number;
  readonly settingsRevision: number;
}

const signalTtl = z.record(z.enum(signalKinds), z.number());

interface Row {
  version: number;
  policy: unknown;
  signal_ttl_ms: unknown;
  epoch: number;
  settings_revision: number;
}

function toStored(row: Row): StoredPolicy {
  return {
    version: row.version,
    policy: policySchema.parse(row.policy),
    signalTtlMs: signalTtl.parse(row.signal_ttl_ms),
    epoch: row.epoch,
    settingsRevision: row.settings_revision,
  };
}

/** The policy in force. */
export async function getNewestPolicy(on: On): Promise<StoredPolicy> {
  const rows = await on.sql<Row[]>`
    select version::float8 as version, policy, signal_ttl_ms, epoch::float8 as epoch,
      settings_revision::float8 as settings_revision
    from pricing.policies order by policies.version desc limit 1`;
  return first(rows, "newest");
}

export async function getPolicy(on: On, version: number): Promise<StoredPolicy> {
  const rows = await on.sql<Row[]>`
    select version::float8 as version, policy, signal_ttl_ms, epoch::float8 as epoch,
      settings_revision::float8 as settings_revision
    from pricing.policies where policies.version = ${version}`;
  return first(rows, version);
}

function first(rows: readonly Row[], version: number | string): StoredPolicy {
  const [row] = rows;
  if (row === undefined) throw new Error(`there is no policy ${version}: the migration inserts version 0`);
  return toStored(row);
}

/** One writer of policies at a time, until the end of the transaction. */
export async function lockPolicies(on: On): Promise<void> {
  await on.sql`select pg_advisory_xact_lock(hashtextextended('pricing.policies', 0))`;
}

export async function insertPolicy(on: On, policy: StoredPolicy): Promise<void> {
  await on.sql`
    insert into pricing.policies (version, policy, signal_ttl_ms, epoch, settings_revision)
    values (${policy.version}, ${toJson(policy.policy)}::text::jsonb, ${toJson(policy.signalTtlMs)}::text::jsonb, ${policy.epoch},
      ${policy.settingsRevision})`;
}

/** A newer document said the same: older ones must not come after it. */
export async function advancePolicy(
  on: On,
  policy: { version: number; epoch: number; settingsRevision: number },
): Promise<void> {
  await on.sql`
    update pricing.policies set epoch = ${policy.epoch}, settings_revision = ${policy.settingsRevision}
    where version = ${policy.version}`;
}
