import { z } from "zod";

const port = z.coerce.number().int().min(0).max(65_535);
const urlOf = (...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    message: `must be a URL with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`,
  });
const name = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, "must be a DNS label");

/** The variables of docs/architecture.md, by subject; a service's `config.ts` spreads those that it needs. */
export const engineConfig = {
  identity: { ENGINE_NAMESPACE: name.default("default"), ENGINE_NAME: name, ENGINE_ROLE: z.string().optional() },
  kafka: {
    KAFKA_BROKERS: z
      .string()
      .transform((text) => text.split(",").map((broker) => broker.trim()))
      .pipe(z.array(z.string().regex(/^[^\s:,]+:\d{1,5}$/, "must be host:port, comma-separated")).min(1)),
    KAFKA_TLS: z
      .enum(["true", "false"])
      .default("false")
      .transform((text) => text === "true"),
    /** Certificates, PEM; absent: those that Node trusts. */
    KAFKA_CA: z
      .string()
      .regex(/-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----/, "must be certificates in PEM")
      .optional(),
    KAFKA_SASL_MECHANISM: z.enum(["plain", "scram-sha-256", "scram-sha-512"]).optional(),
    KAFKA_SASL_USERNAME: z.string().optional(),
    KAFKA_SASL_PASSWORD: z.string().optional(),
  },
  postgres: {
    POSTGRES_URL: urlOf("postgres:", "postgresql:"),
    POSTGRES_REPLICA_URL: urlOf("postgres:", "postgresql:").optional(),
    POSTGRES_POOL_SIZE: z.coerce.number().int().min(1).max(1_000).default(10),
  },
  redis: { REDIS_URL: urlOf("redis:", "rediss:") },
  http: {
    HTTP_PORT: port.default(0),
    HTTP_HOST: z.string().min(1).default("127.0.0.1"),
    HTTP_LINGER_MS: z.coerce.number().int().min(0).max(60_000).default(0),
  },
  process: {
    METRICS_PORT: port.default(0),
    READY_FILE: z.string().optional(),
    SETTINGS_FILE: z.string().optional(),
    SHUTDOWN_GRACE_MS: z.coerce.number().int().min(0).max(3_600_000).default(20_000),
  },
  telemetry: {
    OTEL_EXPORTER_OTLP_ENDPOINT: urlOf("http:", "https:").optional(),
    TRACE_SAMPLE_RATIO: z.coerce.number().min(0).max(1).default(0.1),
    LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal"]).default("info"),
  },
} as const;

/** What a process is told of Kafka, once it is read. */
export type KafkaVariables = z.output<z.ZodObject<typeof engineConfig.kafka>>;

/** Of a schema with the variables of Kafka: the relations between them, for `superRefine`. */
export function completeKafka(
  config: { readonly [Name in keyof KafkaVariables]?: KafkaVariables[Name] | undefined },
  context: z.RefinementCtx,
): void {
  const refuse = (name: keyof typeof engineConfig.kafka, message: string) =>
    context.addIssue({ code: "custom", path: [name], message });
  if (config.KAFKA_CA !== undefined && config.KAFKA_TLS !== true) refuse("KAFKA_TLS", "must be true with KAFKA_CA");
  const credentials = ["KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"] as const;
  for (const name of credentials) {
    if (config.KAFKA_SASL_MECHANISM !== undefined && config[name] === undefined) {
      refuse(name, "is required with KAFKA_SASL_MECHANISM");
    }
    if (config.KAFKA_SASL_MECHANISM === undefined && config[name] !== undefined) {
      refuse("KAFKA_SASL_MECHANISM", `is required with ${name}`);
    }
  }
}
