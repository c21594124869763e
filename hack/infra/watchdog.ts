import { spawn } from "node:child_process";
import { join } from "node:path";

export interface Watchdog {
  dismiss(): void;
}

const main = join(import.meta.dirname, "main.ts");

/**
 * Runs `main.ts <command…> --dir <dir>` when this process is gone, however it went: the pipe to the watchdog's stdin
 * breaks with it. It waits in a shell, which costs a megabyte where a Node process would cost forty.
 */
export function startWatchdog(dir: string, command: readonly string[]): Watchdog {
  const script = 'read -r answer; [ "$answer" = dismissed ] || exec "$@"';
  const child = spawn("sh", ["-c", script, "watchdog", process.execPath, main, ...command, "--dir", dir], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.unref();
  const { stdin } = child;
  stdin.on("error", () => {});
  // A pipe must not keep the process alive that it watches.
  if ("unref" in stdin && typeof stdin.unref === "function") stdin.unref();
  return {
    dismiss: () => {
      stdin.end("dismissed\n");
    },
  };
}
