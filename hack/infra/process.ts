import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Identity, InfraError, tryExec } from "./exec.ts";

/** A process is known by its pid and when it started, so that a reused pid is never taken for ours. */
interface PidRecord {
  readonly pid: number;
  readonly birth: string;
}

export interface ServerCommand {
  /** Names `<dir>/<name>.pid` and `<dir>/<name>.log`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly as?: Identity | undefined;
  readonly cwd: string;
}

export interface Processes {
  /** Starts it in its own process group, with its output in the log; resolves once it is recorded. */
  launch(server: ServerCommand): Promise<void>;
  isRunning(name: string): Promise<boolean>;
  /** Its exit in words, or undefined while it runs; the log's end is in it. */
  describeDeath(name: string): Promise<string | undefined>;
  /** Sends the signal and waits; SIGKILL to the whole group after `graceMs`. Does nothing when it does not run. */
  terminate(name: string, signal: NodeJS.Signals, graceMs: number): Promise<void>;
  logPath(name: string): string;
}

export function makeProcesses(dir: string): Processes {
  const pidPath = (name: string): string => join(dir, `${name}.pid`);
  const logPath = (name: string): string => join(dir, `${name}.log`);

  const findPid = async (name: string): Promise<number | undefined> => {
    const record = readRecord(pidPath(name));
    if (record === undefined) return undefined;
    return (await birthOf(record.pid)) === record.birth ? record.pid : undefined;
  };

  return {
    logPath,

    async launch(server) {
      const path = logPath(server.name);
      rotate(path);
      const log = openSync(path, "a");
      let child: ChildProcess;
      try {
        child = spawn(server.command, server.args, {
          cwd: server.cwd,
          detached: true,
          env: { ...process.env, ...server.env },
          stdio: ["ignore", log, log],
          ...server.as,
        });
        await new Promise<void>((resolve, reject) => {
          child.once("spawn", resolve);
          child.once("error", reject);
        });
      } catch (error) {
        throw new InfraError(`cannot run ${server.command}`, { cause: error });
      } finally {
        closeSync(log);
      }
      child.unref();
      const pid = child.pid ?? 0;
      const record: PidRecord = { pid, birth: (await birthOf(pid)) ?? "gone" };
      writeFileSync(`${pidPath(server.name)}.new`, JSON.stringify(record));
      renameSync(`${pidPath(server.name)}.new`, pidPath(server.name));
    },

    async isRunning(name) {
      return (await findPid(name)) !== undefined;
    },

    async describeDeath(name) {
      if ((await findPid(name)) !== undefined) return undefined;
      return `${name} ended while starting; the end of ${logPath(name)}:\n  ${tailOf(logPath(name), 15)}`;
    },

    async terminate(name, signal, graceMs) {
      const pid = await findPid(name);
      if (pid !== undefined) {
        sendSignal(pid, signal);
        const deadline = performance.now() + graceMs;
        while ((await findPid(name)) !== undefined) {
          if (performance.now() > deadline) sendSignal(-pid, "SIGKILL");
          await delay(20);
        }
      }
      rmSync(pidPath(name), { force: true });
    },
  };
}

function readRecord(path: string): PidRecord | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value !== "object" || value === null || !("pid" in value) || !("birth" in value)) return undefined;
    return typeof value.pid === "number" && typeof value.birth === "string"
      ? { pid: value.pid, birth: value.birth }
      : undefined;
  } catch {
    // No record, or half of one: the process it named was never reported as started.
    return undefined;
  }
}

/** When the process started, in the kernel's own words; undefined when it is gone or a zombie. */
async function birthOf(pid: number): Promise<string | undefined> {
  if (process.platform === "linux") {
    try {
      // The command's name may hold spaces and brackets; the fields after the last bracket do not.
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ");
      return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
    } catch {
      return undefined;
    }
  }
  const { code, stdout } = await tryExec("ps", ["-o", "lstart=", "-p", String(pid)]);
  return code === 0 && stdout.trim() !== "" ? stdout.trim() : undefined;
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return;
    throw error;
  }
}

/** Keeps one earlier log, so that the reason of a crash survives the restart. */
function rotate(path: string): void {
  try {
    renameSync(path, `${path}.1`);
  } catch {
    // The first start has no log yet.
  }
}

function tailOf(path: string, lines: number): string {
  try {
    return readFileSync(path, "utf8").trimEnd().split("\n").slice(-lines).join("\n  ");
  } catch {
    return "(no log)";
  }
}
