import { completeKafka, engineConfig } from "@pricing-engine/chassis/config";
import { z } from "zod";

/** Migrations run before Redis and the settings need to be there. */
export const migrationConfigSchema = z.object({ ...engineConfig.postgres });

const variables = z.object({
  ...engineConfig.identity,
  ...engineConfig.postgres,
  ...engineConfig.redis,
  ...engineConfig.process,
  ...engineConfig.telemetry,
  ...engineConfig.http,
  /** The public port; others of the engine's gateways may share it. */
  HTTP_PORT: engineConfig.http.HTTP_PORT.default(9999),
  /** Base URL of the pricing api; absent: the engine does not run pricing. */
  PRICING_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** Base URL of the ingest api; absent: the engine does not run ingest. */
  INGEST_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** Base URL of the payment api; absent: the engine does not run payments. */
  PAYMENT_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** Base URL of the orders api; absent: the engine takes no orders. */
  ORDERS_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** Takes the payments, and knows how far the stages of orders are behind. */
  ...engineConfig.kafka,
  KAFKA_BROKERS: engineConfig.kafka.KAFKA_BROKERS.optional(),
  /** Holds the first admin key, as text. */
  ADMIN_KEY_FILE: z.string().optional(),
  /** Browsers of these origins may call; `*` is safe, since keys travel in a header that no browser adds by itself. */
  CORS_ORIGINS: z
    .string()
    .default("*")
    .transform((text) => text.split(",").map((origin) => origin.trim())),
});

export const configSchema = variables
  .refine(
    ({ PAYMENT_URL, ORDERS_URL, KAFKA_BROKERS }) =>
      (PAYMENT_URL ?? ORDERS_URL) === undefined || KAFKA_BROKERS !== undefined,
    { path: ["KAFKA_BROKERS"], error: "is required with PAYMENT_URL and ORDERS_URL" },
  )
  .superRefine(completeKafka);
export type Config = z.infer<typeof configSchema>;
