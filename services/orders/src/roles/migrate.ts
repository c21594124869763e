import { fileURLToPath } from "node:url";
import type { Logger } from "@pricing-engine/chassis/log";
import { runMigrations } from "@pricing-engine/postgres";
import { schemaName } from "../adapters/schema.ts";

const migrationsFolder = fileURLToPath(new URL("../../migrations", import.meta.url));

export function migrate(url: string, logger: Pick<Logger, "info" | "warn">): Promise<{ applied: number }> {
  return runMigrations({ url, folder: migrationsFolder, schema: schemaName, logger });
}
