import { completeKafka, engineConfig, loadConfig } from "@pricing-engine/chassis/config";
import { enginePrefix } from "@pricing-engine/contracts";
import { z } from "zod";

export const roles = ["api", "worker", "migrate", "dlq"] as const;
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
    SIGNING_KEYS_FILE: z.string().optional(),
    /** Products in one chunk of a recalculation of everything. */
    RECALCULATION_CHUNK_SIZE: z.coerce.number().int().min(1).max(5000).default(1000),
    /** Messages that a worker handles at once. */
    WORKER_CONCURRENCY: z.coerce.number().int().min(1).max(256).default(4),
    /** After which a task of which nothing is heard is sent again. */
    TASK_OVERDUE_MS: z.coerce.number().int().min(1000).default(60_000),
  })
  .superRefine(completeKafka);

export type Config = z.infer<typeof schema> & { readonly prefix: string };

/** @throws ConfigError that names every problem. */
export function loadPricingConfig(env: NodeJS.ProcessEnv): Config {
  const config = loadConfig(schema, env);
  return { ...config, prefix: enginePrefix(config.ENGINE_NAMESPACE, config.ENGINE_NAME) };
}

// Migrations run before Kafka and Redis need to be there.
const migrationSchema = z.object({ ...engineConfig.postgres });

export function loadMigrationConfig(env: NodeJS.ProcessEnv): z.infer<typeof migrationSchema> {
  return loadConfig(migrationSchema, env);
}

const deadLetterSchema = z.object({ ...engineConfig.identity, ...engineConfig.kafka }).superRefine(completeKafka);

export function loadDeadLetterConfig(env: NodeJS.ProcessEnv): z.infer<typeof deadLetterSchema> & { prefix: string } {
  const config = loadConfig(deadLetterSchema, env);
  return { ...config, prefix: enginePrefix(config.ENGINE_NAMESPACE, config.ENGINE_NAME) };
}

/** The first argument wins over the variable. */
export function findRole(args: readonly string[], env: NodeJS.ProcessEnv): Role | undefined {
  const name = args[0] ?? env.ENGINE_ROLE;
  return roles.find((role) => role === name);
}
