import type { S3Endpoint } from "@pricing-engine/hack/infra";
import { isCertificate, resolveKafkaEnv } from "../../adapters/kafka-access.ts";
import type { Secrets } from "../../api/parse.ts";
import type { PricingEngine } from "../../api/resource.ts";
import type { Connection } from "../../core/plan.ts";
import { getSecretValue } from "./secrets.ts";
import type { StateDir } from "./state-dir.ts";
import { UserError } from "./user-error.ts";

/** Addresses, ready for an environment variable. */
export type Connections = Readonly<Record<Connection, string>> & {
  /** What gets a process into Kafka, as its variables. */
  readonly kafkaEnv?: Readonly<Record<string, string>>;
  readonly replica?: string | undefined;
  /** Where receipts go when the resource does not say it. */
  readonly receipts?: ReceiptsStore;
};
export type ReceiptsStore = S3Endpoint | { readonly directory: string };

export const infraServices = ["kafka", "postgres", "redis"] as const satisfies readonly Connection[];

/** The servers that the resource leaves to `hack/infra`. */
export function findNeededInfra({ spec }: PricingEngine): readonly Connection[] {
  return infraServices.filter((service) => spec[service] === undefined);
}

/** Whether the resource leaves it to us where receipts are stored. */
export function needsReceipts({ orders }: PricingEngine["spec"]): boolean {
  return orders !== undefined && orders.receipts === undefined;
}

/**
 * @param infra addresses of the servers that `hack/infra` started
 * @throws UserError when a Secret is missing
 */
export function resolveConnections(
  { spec }: PricingEngine,
  secrets: Secrets,
  dir: StateDir,
  infra: {
    readonly kafkaBrokers?: string;
    readonly postgresUrl?: string;
    readonly postgresReplicaUrl?: string;
    readonly redisUrl?: string;
    readonly s3?: S3Endpoint;
  },
): Connections {
  const secret = (name: string) => getSecretValue(dir, secrets, name, "url");
  const kafkaEnv = resolveKafkaEnv(spec, (name, key) => getSecretValue(dir, secrets, name, key));
  if (kafkaEnv.KAFKA_CA !== undefined && !isCertificate(kafkaEnv.KAFKA_CA)) {
    throw new UserError(`Secret ${spec.kafka?.caSecretRef?.name}: ca.crt is no certificate in PEM`);
  }
  return {
    kafka: spec.kafka?.brokers.join(",") ?? infra.kafkaBrokers ?? "",
    kafkaEnv,
    postgres: spec.postgres === undefined ? (infra.postgresUrl ?? "") : secret(spec.postgres.primary.secretRef.name),
    replica:
      spec.postgres === undefined
        ? infra.postgresReplicaUrl
        : spec.postgres.replica && secret(spec.postgres.replica.secretRef.name),
    redis: spec.redis === undefined ? (infra.redisUrl ?? "") : secret(spec.redis.secretRef.name),
    receipts: infra.s3 ?? { directory: dir.receiptsDir },
  };
}
