import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type SigningKeys, signingKeys } from "@pricing-engine/contracts";
import type { Secrets } from "../../api/parse.ts";
import type { PricingEngine } from "../../api/resource.ts";
import { rotateSigningKeys } from "../../core/signing-keys.ts";
import { findJson, writeFileAtomic } from "./atomic-file.ts";
import type { StateDir } from "./state-dir.ts";
import { UserError } from "./user-error.ts";

const rotateAfterMs = 30 * 24 * 3_600_000;

/**
 * The keys that sign `decision_id`: made once, and rotated by a start more than 30 days later. Called while no process of
 * the engine runs.
 */
export function ensureSigningKeys(dir: StateDir, nowMs: number): SigningKeys {
  const parsed = signingKeys.safeParse(findJson(dir.signingKeysFile));
  if (parsed.success && nowMs - statSync(dir.signingKeysFile).mtimeMs < rotateAfterMs) return parsed.data;
  const fresh = { id: randomBytes(6).toString("hex"), secret: randomBytes(32).toString("base64") };
  const keys = rotateSigningKeys(parsed.success ? parsed.data : { keys: [] }, fresh);
  writeFileAtomic(dir.signingKeysFile, JSON.stringify(keys), { mode: 0o600, durable: true });
  return keys;
}

/** The gateway's first admin key: that of the resource's Secret, or one made once. */
export function ensureAdminKey(dir: StateDir, given: string | undefined): string {
  const kept = existsSync(dir.adminKeyFile) ? readFileSync(dir.adminKeyFile, "utf8").trim() : "";
  const key = given ?? (kept === "" ? `pe_${randomBytes(24).toString("base64url")}` : kept);
  if (key !== kept) writeFileAtomic(dir.adminKeyFile, key, { mode: 0o600, durable: true });
  return key;
}

/** Tokens of the feeds, by the name of their source, for the poller. @throws UserError when a Secret is missing */
export function writeSourceTokens(
  dir: StateDir,
  { spec }: PricingEngine,
  secrets: Secrets,
): Readonly<Record<string, string>> {
  const tokens = Object.fromEntries(
    (spec.ingest?.sources ?? []).flatMap(({ name, secretRef }) =>
      secretRef === undefined ? [] : [[name, getSecretValue(dir, secrets, secretRef.name, "token")]],
    ),
  );
  writeFileAtomic(dir.sourceTokensFile, JSON.stringify(tokens), { mode: 0o600 });
  return tokens;
}

/** Those that a workload gets as a variable. @throws what `get` throws for one that is missing */
export function requireSecrets({ spec }: PricingEngine, get: (name: string, key: string) => string): void {
  const { receipts, notifications } = spec.orders ?? {};
  const tokens = [...(spec.payment?.processors ?? []), ...(notifications === undefined ? [] : [notifications.webhook])];
  for (const { secretRef } of tokens) if (secretRef !== undefined) get(secretRef.name, "token");
  for (const key of ["accessKeyId", "secretAccessKey"]) {
    if (receipts?.s3 !== undefined) get(receipts.s3.secretRef.name, key);
  }
}

/**
 * A value of a Secret: from a `kind: Secret` document in the resource's file, else from `<state>/secrets/<name>/<key>`.
 * @throws UserError that says where it was looked for
 */
export function getSecretValue(dir: StateDir, secrets: Secrets, name: string, key: string): string {
  const inFile = secrets.get(name)?.[key];
  if (inFile !== undefined) return inFile;
  const path = join(dir.secretsDir, name, key);
  if (existsSync(path)) return readFileSync(path, "utf8").trim();
  throw new UserError(
    `Secret ${name} has no ${key}: add a "kind: Secret" document to the resource's file, or write ${path}`,
  );
}
