import { completeKafka, engineConfig, loadConfig } from "@pricing-engine/chassis/config";
import { enginePrefix } from "@pricing-engine/contracts";
import { z } from "zod";
import type { S3Place } from "./adapters/receipts-in-s3.ts";

export const stages = ["inventory", "payment", "fulfillment", "notification"] as const;
export type Stage = (typeof stages)[number];
export const roles = ["api", ...stages, "migrate", "trace", "dlq"] as const;
export type Role = (typeof roles)[number];

const httpUrl = z.string().refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), {
  message: "must be a URL with http:// or https://",
});

const receipts = {
  RECEIPTS_S3_ENDPOINT: httpUrl.optional(),
  RECEIPTS_S3_BUCKET: z.string().min(1).optional(),
  RECEIPTS_S3_REGION: z.string().min(1).default("us-east-1"),
  RECEIPTS_S3_ACCESS_KEY_ID: z.string().min(1).optional(),
  RECEIPTS_S3_SECRET_ACCESS_KEY: z.string().min(1).optional(),
  RECEIPTS_DIRECTORY: z.string().min(1).optional(),
};

const schema = z.object({
  ...engineConfig.identity,
  ...engineConfig.kafka,
  ...engineConfig.postgres,
  ...engineConfig.redis,
  ...engineConfig.http,
  ...engineConfig.process,
  ...engineConfig.telemetry,
  ...receipts,
  /** Base URL of the pricing api: the api asks it for prices. */
  PRICING_URL: httpUrl.optional(),
  NOTIFICATION_WEBHOOK_URL: httpUrl.optional(),
  NOTIFICATION_WEBHOOK_TOKEN: z.string().min(1).optional(),
  /** Messages that a stage has in hand at once; what they need of Postgres it does for many of them together. */
  STAGE_CONCURRENCY: z.coerce.number().int().min(1).max(256).default(64),
});

const parts = ["RECEIPTS_S3_BUCKET", "RECEIPTS_S3_ACCESS_KEY_ID", "RECEIPTS_S3_SECRET_ACCESS_KEY"] as const;

function completeS3(config: z.infer<typeof schema>, context: z.RefinementCtx): void {
  if (config.RECEIPTS_S3_ENDPOINT === undefined) return;
  for (const part of parts) {
    if (config[part] !== undefined) continue;
    context.addIssue({ code: "custom", path: [part], message: "is required with RECEIPTS_S3_ENDPOINT" });
  }
}

const commonSchema = schema.superRefine(completeS3).superRefine(completeKafka);
const apiSchema = schema.required({ PRICING_URL: true }).superRefine(completeS3).superRefine(completeKafka);
const fulfillmentSchema = schema
  .superRefine(completeS3)
  .superRefine(completeKafka)
  .refine((config) => (config.RECEIPTS_S3_ENDPOINT ?? config.RECEIPTS_DIRECTORY) !== undefined, {
    path: ["RECEIPTS_DIRECTORY"],
    message: "either it or RECEIPTS_S3_ENDPOINT is required",
  });

export type Config = z.infer<typeof schema> & { readonly prefix: string };
export type ApiConfig = z.infer<typeof apiSchema> & { readonly prefix: string };

/** These throw a ConfigError that names every problem. */
export function loadApiConfig(env: NodeJS.ProcessEnv): ApiConfig {
  return withPrefix(loadConfig(apiSchema, env));
}

export function loadStageConfig(stage: Stage, env: NodeJS.ProcessEnv): Config {
  return withPrefix(stage === "fulfillment" ? loadConfig(fulfillmentSchema, env) : loadConfig(commonSchema, env));
}

const databaseSchema = z.object(engineConfig.postgres);

export function loadDatabaseConfig(env: NodeJS.ProcessEnv): z.infer<typeof databaseSchema> {
  return loadConfig(databaseSchema, env);
}

const deadLetterSchema = z.object({ ...engineConfig.identity, ...engineConfig.kafka }).superRefine(completeKafka);

export function loadDeadLetterConfig(env: NodeJS.ProcessEnv): z.infer<typeof deadLetterSchema> & { prefix: string } {
  return withPrefix(loadConfig(deadLetterSchema, env));
}

/** Undefined without object storage. */
export function s3Of(config: Config): S3Place | undefined {
  const {
    RECEIPTS_S3_ENDPOINT: endpoint,
    RECEIPTS_S3_BUCKET: bucket,
    RECEIPTS_S3_ACCESS_KEY_ID: accessKeyId,
    RECEIPTS_S3_SECRET_ACCESS_KEY: secretAccessKey,
  } = config;
  if (endpoint === undefined || bucket === undefined || accessKeyId === undefined || secretAccessKey === undefined) {
    return undefined;
  }
  return { endpoint, bucket, region: config.RECEIPTS_S3_REGION, accessKeyId, secretAccessKey };
}

function withPrefix<Config extends { ENGINE_NAMESPACE: string; ENGINE_NAME: string }>(
  config: Config,
): Config & { prefix: string } {
  return { ...config, prefix: enginePrefix(config.ENGINE_NAMESPACE, config.ENGINE_NAME) };
}

/** The first argument wins over the variable. */
export function findRole(args: readonly string[], env: NodeJS.ProcessEnv): Role | undefined {
  const name = args[0] ?? env.ENGINE_ROLE;
  return roles.find((role) => role === name);
}
