import { readFileSync } from "node:fs";
import { completeKafka, engineConfig, loadConfig } from "@pricing-engine/chassis/config";
import { enginePrefix } from "@pricing-engine/contracts";
import { z } from "zod";

export const roles = ["poller", "worker", "api", "migrate", "rejected", "dlq"] as const;
export type Role = (typeof roles)[number];

const schema = z
  .object({
    ...engineConfig.identity,
    ...engineConfig.kafka,
    ...engineConfig.postgres,
    ...engineConfig.redis,
    ...engineConfig.http,
    ...engineConfig.process,
    ...engineConfig.telemetry,
    /** JSON `{"<source>": "<token>"}`, sent as bearer tokens. */
    SOURCE_TOKENS_FILE: z.string().optional(),
    /** Base URL of the pricing api, for sources whose zones become products. */
    PRICING_URL: z.url({ protocol: /^https?$/ }).optional(),
    /** A poller that is not heard of for so long has lost its sources. */
    SOURCE_LEASE_MS: z.coerce.number().int().min(1000).default(15_000),
    WORKER_CONCURRENCY: z.coerce.number().int().min(1).max(64).default(4),
  })
  .superRefine(completeKafka);

export type Config = z.infer<typeof schema> & { readonly prefix: string };

/** @throws ConfigError that names every problem. */
export function loadIngestConfig(env: NodeJS.ProcessEnv): Config {
  const config = loadConfig(schema, env);
  return { ...config, prefix: enginePrefix(config.ENGINE_NAMESPACE, config.ENGINE_NAME) };
}

// Migrations run before Kafka and Redis need to be there.
const migrationSchema = z.object({ ...engineConfig.postgres });

export function loadMigrationConfig(env: NodeJS.ProcessEnv): z.infer<typeof migrationSchema> {
  return loadConfig(migrationSchema, env);
}

const commandSchema = z
  .object({ ...engineConfig.identity, ...engineConfig.kafka, ...engineConfig.postgres })
  .superRefine(completeKafka);

export type CommandConfig = z.infer<typeof commandSchema> & { readonly prefix: string };

export function loadCommandConfig(env: NodeJS.ProcessEnv): CommandConfig {
  const config = loadConfig(commandSchema, env);
  return { ...config, prefix: enginePrefix(config.ENGINE_NAMESPACE, config.ENGINE_NAME) };
}

/** The first argument wins over the variable. */
export function findRole(args: readonly string[], env: NodeJS.ProcessEnv): Role | undefined {
  const name = args[0] ?? env.ENGINE_ROLE;
  return roles.find((role) => role === name);
}

const tokensSchema = z.record(z.string(), z.string().min(1));

/** @throws when there is a file that is not what it should be */
export function readTokens(path: string | undefined): ReadonlyMap<string, string> {
  if (path === undefined) return new Map();
  return new Map(Object.entries(tokensSchema.parse(JSON.parse(readFileSync(path, "utf8")))));
}
