import { completeKafka, engineConfig, loadConfig } from "@pricing-engine/chassis/config";
import { enginePrefix } from "@pricing-engine/contracts";
import { z } from "zod";

export const roles = ["api", "worker", "migrate", "reconcile", "release", "manual-review", "reviewed", "dlq"] as const;
export type Role = (typeof roles)[number];

const httpUrl = z.string().refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), {
  message: "must be a URL with http:// or https://",
});

const processors = {
  PAYMENT_DEFAULT_URL: httpUrl,
  PAYMENT_FALLBACK_URL: httpUrl,
  PAYMENT_DEFAULT_TOKEN: z.string().min(1).optional(),
  PAYMENT_FALLBACK_TOKEN: z.string().min(1).optional(),
  /** Generous: a call that is given up on leaves a payment of which nobody knows. */
  PAYMENT_TIMEOUT_MS: z.coerce.number().int().min(100).max(600_000).default(15_000),
};

const base = {
  ...engineConfig.identity,
  ...engineConfig.postgres,
  ...engineConfig.redis,
  ...engineConfig.http,
  ...engineConfig.process,
  ...engineConfig.telemetry,
};

const apiSchema = z.object(base);
const workerSchema = z.object({ ...base, ...engineConfig.kafka, ...processors }).superRefine(completeKafka);
const migrationSchema = z.object(engineConfig.postgres);
const toolSchema = z.object({ ...engineConfig.postgres, ...processors });
const releaseSchema = z.object({ ...engineConfig.identity, ...engineConfig.postgres });
const deadLetterSchema = z.object({ ...engineConfig.identity, ...engineConfig.kafka }).superRefine(completeKafka);

export type ApiConfig = z.infer<typeof apiSchema> & { readonly prefix: string };
export type WorkerConfig = z.infer<typeof workerSchema> & { readonly prefix: string };
export type ToolConfig = z.infer<typeof toolSchema>;
export type ProcessorConfig = Pick<ToolConfig, keyof typeof processors>;

/** These throw a ConfigError that names every problem. */
export function loadApiConfig(env: NodeJS.ProcessEnv): ApiConfig {
  return withPrefix(loadConfig(apiSchema, env));
}

export function loadWorkerConfig(env: NodeJS.ProcessEnv): WorkerConfig {
  return withPrefix(loadConfig(workerSchema, env));
}

export function loadMigrationConfig(env: NodeJS.ProcessEnv): z.infer<typeof migrationSchema> {
  return loadConfig(migrationSchema, env);
}

export function loadToolConfig(env: NodeJS.ProcessEnv): ToolConfig {
  return loadConfig(toolSchema, env);
}

export function loadReleaseConfig(env: NodeJS.ProcessEnv): z.infer<typeof releaseSchema> & { prefix: string } {
  return withPrefix(loadConfig(releaseSchema, env));
}

export function loadDeadLetterConfig(env: NodeJS.ProcessEnv): z.infer<typeof deadLetterSchema> & { prefix: string } {
  return withPrefix(loadConfig(deadLetterSchema, env));
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
