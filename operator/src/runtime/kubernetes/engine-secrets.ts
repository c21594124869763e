/**
 * The Secrets of an engine: those that its resource names have to be there; its own are made once. They are read by name, since
 * the operator may not list Secrets, and again every minute: a change of one that pods read at their start rolls them.
 */
import { createHash, randomBytes } from "node:crypto";
import type { KafkaAccess } from "@pricing-engine/kafka";
import { isCertificate, readKafkaAccess, resolveKafkaEnv } from "../../adapters/kafka-access.ts";
import { kind, type PricingEngine } from "../../api/resource.ts";
import { metadataOf, type ObjectContext } from "../../core/objects/naming.ts";
import { adminKeyName, signingName, sourceTokensName } from "../../core/objects/pod.ts";
import { findKeysProblem, rotateSigningKeys } from "../../core/signing-keys.ts";
import type { Kube } from "../../kube/client.ts";
import { isAlreadyExists } from "../../kube/kube-error.ts";
import { resourceTypes } from "../../kube/resource-types.ts";
import type { KubeObject } from "../../kube/types.ts";
import { StillWaiting } from "../runtime.ts";

export type EngineSecrets =
  | {
      readonly kind: "present";
      readonly kafka: KafkaAccess;
      readonly postgresUrl: string;
      readonly redisUrl: string;
      /** Changes with any value that a pod reads at its start. */
      readonly hash: string;
      /** A value of a Secret that the resource names. */
      get(secret: string, key: string): string | undefined;
    }
  /** `Secret shop-redis has no url`: one line for each. */
  | { readonly kind: "missing"; readonly problems: readonly string[] };

interface Needed {
  readonly secret: string;
  readonly keys: readonly string[];
}

/** Pure: what the resource refers to. */
export function findNeededSecrets({ spec }: PricingEngine): readonly Needed[] {
  const need = (ref: { readonly name: string } | undefined, ...keys: string[]): Needed[] =>
    ref === undefined ? [] : [{ secret: ref.name, keys }];
  return [
    ...need(spec.postgres?.primary.secretRef, "url"),
    ...need(spec.postgres?.replica?.secretRef, "url"),
    ...need(spec.redis?.secretRef, "url"),
    ...need(spec.kafka?.caSecretRef, "ca.crt"),
    ...need(spec.kafka?.sasl?.secretRef, "username", "password"),
    ...need(spec.gateway?.adminKeySecretRef, "token"),
    ...(spec.payment?.processors ?? []).flatMap(({ secretRef }) => need(secretRef, "token")),
    ...(spec.ingest?.sources ?? []).flatMap(({ secretRef }) => need(secretRef, "token")),
    ...need(spec.orders?.receipts?.s3?.secretRef, "accessKeyId", "secretAccessKey"),
    ...need(spec.orders?.notifications?.webhook.secretRef, "token"),
  ];
}

/** Reads what the resource names, and makes what is the engine's own unless that is left alone. */
export async function readEngineSecrets(
  kube: Pick<Kube, "find" | "create" | "apply">,
  context: Pick<ObjectContext, "resource" | "uid">,
  own: "ensured" | "left-alone" = "ensured",
): Promise<EngineSecrets> {
  const { resource } = context;
  const { namespace } = resource.metadata;
  const needed = findNeededSecrets(resource);
  const names = [...new Set(needed.map(({ secret }) => secret))].sort();
  const found = new Map<string, Readonly<Record<string, string>>>();
  const problems: string[] = [];
  await Promise.all(
    names.map(async (name) => {
      const secret = await kube.find(resourceTypes.secrets, name, namespace);
      if (secret === undefined) problems.push(`Secret ${name} is missing`);
      else found.set(name, decode(secret));
    }),
  );
  const get = (secret: string, key: string): string | undefined => found.get(secret)?.[key];
  for (const { keys, secret } of needed) {
    for (const key of keys) {
      if (found.has(secret) && (get(secret, key) ?? "") === "") problems.push(`Secret ${secret} has no ${key}`);
    }
  }
  const postgresUrl = get(resource.spec.postgres?.primary.secretRef.name ?? "", "url") ?? "";
  const redisUrl = get(resource.spec.redis?.secretRef.name ?? "", "url") ?? "";
  if (postgresUrl !== "" && !hasProtocol(postgresUrl, ["postgres:", "postgresql:"])) {
    problems.push(`Secret ${resource.spec.postgres?.primary.secretRef.name}: url is no postgres:// URL`);
  }
  if (redisUrl !== "" && !hasProtocol(redisUrl, ["redis:", "rediss:"])) {
    problems.push(`Secret ${resource.spec.redis?.secretRef.name}: url is no redis:// URL`);
  }
  const { caSecretRef } = resource.spec.kafka ?? {};
  const ca = get(caSecretRef?.name ?? "", "ca.crt") ?? "";
  if (ca !== "" && !isCertificate(ca)) problems.push(`Secret ${caSecretRef?.name}: ca.crt is no certificate in PEM`);
  if (problems.length > 0) return { kind: "missing", problems: [...new Set(problems)].sort() };

  const made = own === "ensured" ? await ensureOwnSecrets(kube, context, get).catch(orStillWaiting) : [];
  if (made instanceof StillWaiting) return { kind: "missing", problems: [made.message] };
  const values = needed.flatMap(({ keys, secret }) => keys.map((key) => [secret, key, get(secret, key)]));
  const hash = createHash("sha256")
    .update(JSON.stringify([values, made]))
    .digest("hex");
  const access = resolveKafkaEnv(resource.spec, (secret, key) => get(secret, key) ?? "");
  const brokers = resource.spec.kafka?.brokers ?? [];
  const kafka = brokers.length === 0 ? { brokers } : readKafkaAccess(brokers.join(","), access);
  return { kind: "present", kafka, postgresUrl, redisUrl, hash, get };
}

/** Returns what is in them that pods read at their start. */
async function ensureOwnSecrets(
  kube: Pick<Kube, "find" | "create" | "apply">,
  context: Pick<ObjectContext, "resource" | "uid">,
  get: (secret: string, key: string) => string | undefined,
): Promise<readonly unknown[]> {
  const { gateway, ingest } = context.resource.spec;
  const { name } = context.resource.metadata;
  const signing = await ensureOnce(kube, context, signingName(name), () => {
    const fresh = { id: randomBytes(6).toString("hex"), secret: randomBytes(32).toString("base64") };
    return { "keys.json": JSON.stringify(rotateSigningKeys({ keys: [] }, fresh)) };
  });
  const problem = findKeysProblem(signing["keys.json"]);
  if (problem !== undefined) throw unusable(`Secret ${signingName(name)}: keys.json ${problem}`);
  const isKeyOurs = gateway !== undefined && gateway.adminKeySecretRef === undefined;
  const adminKey = isKeyOurs
    ? await ensureOnce(kube, context, adminKeyName(context), () => ({
        token: `pe_${randomBytes(24).toString("base64url")}`,
      }))
    : undefined;
  if (adminKey !== undefined && (adminKey.token ?? "") === "") {
    throw unusable(`Secret ${adminKeyName(context)} has no token`);
  }
  if (ingest === undefined) return [signing, adminKey];
  const tokens = Object.fromEntries(
    (ingest.sources ?? []).flatMap((source) =>
      source.secretRef === undefined ? [] : [[source.name, get(source.secretRef.name, "token")]],
    ),
  );
  const wanted = { "tokens.json": JSON.stringify(tokens) };
  const found = await kube.find(resourceTypes.secrets, sourceTokensName(name), context.resource.metadata.namespace);
  if (found === undefined || decode(found)["tokens.json"] !== wanted["tokens.json"]) {
    await kube.apply(secretOf(context, sourceTokensName(name), wanted));
  }
  return [signing, adminKey, tokens];
}

async function ensureOnce(
  kube: Pick<Kube, "find" | "create">,
  context: Pick<ObjectContext, "resource" | "uid">,
  name: string,
  make: () => Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, string>>> {
  const { namespace } = context.resource.metadata;
  const found = await kube.find(resourceTypes.secrets, name, namespace);
  if (found !== undefined && isGoing(found, context.uid)) {
    throw unusable(`Secret ${name} is of a former engine of this name, and about to go with it`);
  }
  if (found !== undefined) return decode(found);
  const values = make();
  try {
    await kube.create(resourceTypes.secrets, secretOf(context, name, values));
    return values;
  } catch (error) {
    const other = isAlreadyExists(error) ? await kube.find(resourceTypes.secrets, name, namespace) : undefined;
    if (other === undefined) throw error;
    return decode(other);
  }
}

const unusable = (message: string): StillWaiting => new StillWaiting("SecretsMissing", message);

/** What was an engine's of another uid is deleted with it: whoever relied on it would be left without. */
function isGoing({ metadata }: KubeObject, uid: string): boolean {
  const owner = metadata.ownerReferences?.find((one) => one.kind === kind);
  return metadata.deletionTimestamp !== undefined || (owner !== undefined && owner.uid !== uid);
}

function orStillWaiting(error: unknown): StillWaiting {
  if (error instanceof StillWaiting) return error;
  throw error;
}

function secretOf(
  context: Pick<ObjectContext, "resource" | "uid">,
  name: string,
  values: Readonly<Record<string, string>>,
): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: metadataOf(context, name),
    type: "Opaque",
    data: Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString("base64")]),
    ),
  };
}

function decode({ data }: KubeObject): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries((data ?? {}) as Record<string, string>).map(([key, value]) => [
      key,
      Buffer.from(value, "base64").toString("utf8").trim(),
    ]),
  );
}

function hasProtocol(url: string, protocols: readonly string[]): boolean {
  return protocols.includes(URL.parse(url)?.protocol ?? "");
}
