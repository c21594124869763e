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
