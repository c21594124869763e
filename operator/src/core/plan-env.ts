/** What every process of ours is told. */
import type { PricingEngine } from "../api/resource.ts";
import type { EnvValue } from "./plan.ts";

type KafkaAccessValue = Extract<EnvValue, { from: "value" | "secret" }>;

export function commonEnv({ metadata, spec }: PricingEngine): Record<string, EnvValue> {
  const { otlpEndpoint, sampleRatio } = spec.telemetry;
  return {
    ENGINE_NAMESPACE: value(metadata.namespace),
    ENGINE_NAME: value(metadata.name),
    KAFKA_BROKERS: { from: "connection", connection: "kafka" },
    ...kafkaAccessEnv(spec),
    POSTGRES_URL: { from: "connection", connection: "postgres" },
    POSTGRES_POOL_SIZE: value(String(spec.postgres?.poolSize ?? 10)),
    REDIS_URL: { from: "connection", connection: "redis" },
    SETTINGS_FILE: { from: "file", file: "settings" },
    SIGNING_KEYS_FILE: { from: "file", file: "signing-keys" },
    TRACE_SAMPLE_RATIO: value(sampleRatio),
    ...(otlpEndpoint === undefined ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: value(otlpEndpoint) }),
  };
}

/** What the brokers ask of whoever comes. Only what is asked for: the pods of other engines stay as they are. */
export function kafkaAccessEnv({ kafka }: Pick<PricingEngine["spec"], "kafka">): Record<string, KafkaAccessValue> {
  if (kafka === undefined) return {};
  const { caSecretRef, sasl, tls } = kafka;
  const secret = (name: string, key: string): KafkaAccessValue => ({ from: "secret", secret: name, key });
  return {
    ...(tls ? { KAFKA_TLS: value("true") } : {}),
    ...(caSecretRef === undefined ? {} : { KAFKA_CA: secret(caSecretRef.name, "ca.crt") }),
    ...(sasl === undefined
      ? {}
      : {
          KAFKA_SASL_MECHANISM: value(sasl.mechanism),
          KAFKA_SASL_USERNAME: secret(sasl.secretRef.name, "username"),
          KAFKA_SASL_PASSWORD: secret(sasl.secretRef.name, "password"),
        }),
  };
}

/**
 * How much memory Node and glibc may take, wherever the process runs (docs/decisions/0008). The young generation would grow to 32 MB and more by
 * itself. glibc would keep up to eight heaps per core for threads that hardly allocate; and pieces of 32 KB, which V8's compilers take and
 * leave, would break up its one heap: they are mapped by themselves and go back at once.
 */
export const memoryEnv: Readonly<Record<string, EnvValue>> = {
  NODE_OPTIONS: value("--max-semi-space-size=4"),
  MALLOC_ARENA_MAX: value("1"),
  MALLOC_MMAP_THRESHOLD_: value("32768"),
};

/** Before every topic, group and Redis key of the engine. */
export function prefixOf({ metadata }: PricingEngine): string {
  return `${metadata.namespace}.${metadata.name}.`;
}

export function value(text: string): Extract<EnvValue, { from: "value" }> {
  return { from: "value", value: text };
}
