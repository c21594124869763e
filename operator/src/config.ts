import { loadConfig } from "@pricing-engine/chassis/config";
import { z } from "zod";

const port = z.coerce.number().int().min(0).max(65_535);

const controllerSchema = z.object({
  /** Empty: every namespace. */
  WATCH_NAMESPACE: z
    .string()
    .default("")
    .transform((text) => (text === "" ? undefined : text)),
  METRICS_PORT: port.default(8080),
  HEALTH_PORT: port.default(8081),
  HTTP_HOST: z.string().min(1).default("0.0.0.0"),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal"]).default("info"),
  /** Of engines that do not name their images. */
  IMAGE_REGISTRY: z.string().min(1).default("ghcr.io/pricing-engine"),
  IMAGE_TAG: z.string().min(1),
  LEASE_NAMESPACE: z.string().min(1),
  LEASE_NAME: z.string().min(1).default("pricing-engine-operator"),
  POD_NAME: z.string().min(1),
  /** Of an OTLP/HTTP collector; without one no trace is recorded. */
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  TRACE_SAMPLE_RATIO: z.coerce.number().min(0).max(1).default(0.1),
  /** Events and bookmarks come about once a minute; longer without one, and the process is started anew. */
  MAX_WATCH_AGE_MS: z.coerce.number().int().min(1_000).default(300_000),
});

export type ControllerConfig = z.infer<typeof controllerSchema>;

/** @throws ConfigError that names every problem */
export function loadControllerConfig(env: NodeJS.ProcessEnv): ControllerConfig {
  return loadConfig(controllerSchema, env);
}
