import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export interface RunEnd {
  /** Null when a signal ended it. */
  readonly code: number | null;
  /** It was stopped since its time was over. */
  readonly late: boolean;
}

/** Runs programs one after another with our own output, without input. */
export interface Runner {
  run(program: string, args: readonly string[], timeoutMs: number): Promise<RunEnd>;
  /** Whether somebody asked this process to stop; the program that was running has been told. */
  interrupted(): boolean;
}

/** How long a program may take to stop before its whole process group is killed. */
const stopGraceMs = 30_000;

export function makeRunner(cwd: string): Runner {
  let current: ChildProcess | undefined;
  let interrupted = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      interrupted = true;
      current?.kill(signal);
    });
  }
  return {
    interrupted: () => interrupted,
    async run(program, args, timeoutMs) {
      // A group of its own, so that nothing it started outlives its time.
      const child = spawn(program, args, { cwd, stdio: ["ignore", "inherit", "inherit"], detached: true });
      current = child;
      let late = false;
      const timers = [
        setTimeout(() => {
          late = true;
          child.kill("SIGTERM");
        }, timeoutMs),
        setTimeout(() => killGroup(child), timeoutMs + stopGraceMs),
      ];
      try {
        const [code] = (await once(child, "close")) as [number | null];
        return { code, late };
      } catch (error) {
        console.error(`cannot run ${program}: ${String(error)}`);
        return { code: 1, late };
      } finally {
        for (const timer of timers) clearTimeout(timer);
        current = undefined;
      }
    },
  };
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It ended in this very moment.
  }
}
