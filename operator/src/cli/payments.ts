import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { findJson } from "../runtime/local/atomic-file.ts";
import { findRunningOperator, type StateDir } from "../runtime/local/state-dir.ts";
import { UserError } from "../runtime/local/user-error.ts";

const service = fileURLToPath(new URL("../../../services/payment/src/main.ts", import.meta.url));

const commands = ["reconcile", "release", "manual-review", "reviewed", "dlq"];

/** A command of the payment service, told what the engine that runs here has told its worker. Returns its exit code. */
export async function runPayments(dir: StateDir, args: readonly string[]): Promise<number> {
  // The service's other roles are processes; the worker's variables name one, so without a command it would be a second worker.
  if (!commands.includes(args[0] ?? "")) {
    console.error(`usage: pnpm payments ${commands.join("|")}`);
    return 2;
  }
  const env = process.env.POSTGRES_URL === undefined ? { ...findWorkerEnv(dir), ...process.env } : process.env;
  const child = spawn(process.execPath, [service, ...args], { env, stdio: "inherit" });
  const [code] = (await once(child, "close")) as [number | null];
  return code ?? 1;
}

function findWorkerEnv(dir: StateDir): Record<string, string> {
  const running = findRunningOperator(dir) !== undefined;
  const parsed = z.record(z.string(), z.string()).safeParse(findJson(dir.commandEnvFile("payment")));
  if (running && parsed.success) return parsed.data;
  throw new UserError(
    running
      ? "The engine that runs here has no payments: its resource has no section payment"
      : "No engine runs here: npm start, or set the variables of a payment worker (services/payment/README.md)",
  );
}
