import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { findJson } from "../runtime/local/atomic-file.ts";
import { findRunningOperator, type StateDir } from "../runtime/local/state-dir.ts";
import { UserError } from "../runtime/local/user-error.ts";

/** Commands of services that are commands here too: which service runs each. */
export const serviceCommands = { dlq: ["pricing", "dlq"], ingest: ["ingest"] } as const;
export type ServiceCommand = keyof typeof serviceCommands;

const connectionsSchema = z.object({ kafka: z.string(), postgres: z.string(), redis: z.string() });

/** The command of the service, told where the engine that runs here has its servers. Returns its exit code. */
export async function runServiceCommand(
  dir: StateDir,
  command: ServiceCommand,
  args: readonly string[],
): Promise<number> {
  const [service, ...words] = serviceCommands[command];
  const entry = fileURLToPath(new URL(`../../../services/${service}/src/main.ts`, import.meta.url));
  const told = process.env.ENGINE_NAME !== undefined && process.env.KAFKA_BROKERS !== undefined;
  const env = told ? process.env : { ...process.env, ...findEngine(dir) };
  const child = spawn(process.execPath, [entry, ...words, ...args], { env, stdio: "inherit" });
  const [code] = (await once(child, "close")) as [number | null];
  return code ?? 1;
}

function findEngine(dir: StateDir): Record<string, string> {
  const running = findRunningOperator(dir);
  if (running === undefined) {
    throw new UserError(
      "No engine runs here: npm start, or name one by ENGINE_NAMESPACE, ENGINE_NAME, KAFKA_BROKERS and POSTGRES_URL",
    );
  }
  const [namespace = "", name = ""] = running.engine.split("/");
  const connections = connectionsSchema.safeParse(findJson(dir.connectionsFile));
  if (!connections.success) throw new UserError("The engine has no servers yet: npm run status shows why");
  const { kafka, postgres, redis } = connections.data;
  return {
    ENGINE_NAMESPACE: namespace,
    ENGINE_NAME: name,
    KAFKA_BROKERS: kafka,
    POSTGRES_URL: postgres,
    REDIS_URL: redis,
  };
}
