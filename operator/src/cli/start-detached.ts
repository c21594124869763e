import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { openStateDir } from "../runtime/local/state-dir.ts";
import { describeError } from "../runtime/local/user-error.ts";
import type { LocalOptions } from "./options.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

const messageSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("line"), line: z.string() }),
  z.object({ kind: z.literal("up") }),
]);
/** What the operator in the background tells the command that waits for it. */
export type BackgroundMessage = z.infer<typeof messageSchema>;

const main = fileURLToPath(new URL("../main.ts", import.meta.url));

/** In a process of its own. Returns 0 when it is Ready, and otherwise 1 with nothing left running. */
export async function startDetached(
  options: LocalOptions,
  argv: readonly string[],
  say: (line: string) => void,
): Promise<number> {
  const dir = openStateDir(options.stateDir);
  const output = openSync(join(dir.path, "operator.log"), "a");
  const child = spawn(process.execPath, [main, "local-background", ...argv], {
    detached: true,
    stdio: ["ignore", output, output, "ipc"],
  });
  const { promise, resolve } = Promise.withResolvers<number>();
  const forward = () => child.kill("SIGTERM");
  for (const signal of signals) process.on(signal, forward);
  child.on("message", (raw) => {
    const message = messageSchema.parse(raw);
    if (message.kind === "line") say(message.line);
    else resolve(0);
  });
  child.once("error", (error) => {
    say(describeError(error));
    resolve(1);
  });
  child.once("close", (code) => {
    if (code !== 0 && code !== 1) say(`the operator ended with code ${code}; see ${join(dir.path, "operator.log")}`);
    resolve(1);
  });
  const code = await promise;
  for (const signal of signals) process.off(signal, forward);
  if (child.connected) child.disconnect();
  child.unref();
  return code;
}
