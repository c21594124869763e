import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { findJson } from "../runtime/local/atomic-file.ts";
import { findLastOperator, type StateDir } from "../runtime/local/state-dir.ts";
import { UserError } from "../runtime/local/user-error.ts";

const connectionsSchema = z.object({
  kafka: z.string(),
  kafkaEnv: z.record(z.string(), z.string()).default({}),
  postgres: z.string(),
  redis: z.string(),
});

/** A command of a service, told where the engine that runs here has its servers. Returns its exit code. */
export async function runServiceTool(
  service: "orders" | "ingest",
  dir: StateDir,
  args: readonly string[],
): Promise<number> {
  const told = process.env.ENGINE_NAME !== undefined && process.env.POSTGRES_URL !== undefined;
  const env = told ? process.env : { ...process.env, ...findEngine(dir) };
  const entry = fileURLToPath(new URL(`../../../services/${service}/src/main.ts`, import.meta.url));
  const child = spawn(process.execPath, [entry, ...args], { env, stdio: "inherit" });
  const [code] = (await once(child, "close")) as [number | null];
  return code ?? 1;
}

function findEngine(dir: StateDir): Record<string, string> {
  const running = findLastOperator(dir);
  const connections = connectionsSchema.safeParse(findJson(dir.connectionsFile));
  if (running === undefined || !connections.success) {
    throw new UserError(
      "No engine runs here: npm start, or name one by ENGINE_NAMESPACE, ENGINE_NAME and POSTGRES_URL",
    );
  }
  const [namespace = "", name = ""] = running.engine.split("/");
  const { kafka, kafkaEnv, postgres, redis } = connections.data;
  return {
    ENGINE_NAMESPACE: namespace,
    ENGINE_NAME: name,
    KAFKA_BROKERS: kafka,
    ...kafkaEnv,
    POSTGRES_URL: postgres,
    REDIS_URL: redis,
  };
}
