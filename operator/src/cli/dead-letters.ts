import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { infraStatus } from "@pricing-engine/hack/infra";
import { resolveKafkaEnv } from "../adapters/kafka-access.ts";
import { parseResource } from "../api/parse.ts";
import { getSecretValue } from "../runtime/local/secrets.ts";
import { findRunningOperator, type StateDir } from "../runtime/local/state-dir.ts";
import { UserError } from "../runtime/local/user-error.ts";

const service = fileURLToPath(new URL("../../../services/pricing/src/main.ts", import.meta.url));

/** `dlq` of the service, told where the engine that runs here has its Kafka. Returns its exit code. */
export async function runDeadLetters(dir: StateDir, args: readonly string[]): Promise<number> {
  const told = process.env.ENGINE_NAME !== undefined && process.env.KAFKA_BROKERS !== undefined;
  const env = told ? process.env : { ...process.env, ...(await findEngine(dir)) };
  const child = spawn(process.execPath, [service, "dlq", ...args], { env, stdio: "inherit" });
  const [code] = (await once(child, "close")) as [number | null];
  return code ?? 1;
}

async function findEngine(dir: StateDir): Promise<Record<string, string>> {
  const running = findRunningOperator(dir);
  if (running === undefined) {
    throw new UserError(
      "No engine runs here: npm start, or name one by ENGINE_NAMESPACE, ENGINE_NAME and KAFKA_BROKERS",
    );
  }
  const [namespace = "", name = ""] = running.engine.split("/");
  const parsed = parseResource(readFileSync(running.resourceFile, "utf8"));
  const given = parsed.ok ? parsed.resource.spec.kafka?.brokers.join(",") : undefined;
  const servers = given === undefined && running.infraDir !== undefined ? await infraStatus(running.infraDir) : [];
  const own = servers.find(({ service, running: runs }) => service === "kafka" && runs);
  const brokers = given ?? (own === undefined ? undefined : `127.0.0.1:${own.port}`);
  if (brokers === undefined) throw new UserError("Kafka does not run: npm run status shows why");
  const access = parsed.ok
    ? resolveKafkaEnv(parsed.resource.spec, (secret, key) => getSecretValue(dir, parsed.secrets, secret, key))
    : {};
  return { ENGINE_NAMESPACE: namespace, ENGINE_NAME: name, KAFKA_BROKERS: brokers, ...access };
}
