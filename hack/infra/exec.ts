import { spawn } from "node:child_process";

/** A fault that its reader can do something about: the message says what. */
export class InfraError extends Error {
  override readonly name = "InfraError";
}

export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

export interface ExecOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly as?: Identity | undefined;
  readonly cwd?: string;
  readonly timeoutMs?: number;
  /** Ends the program by SIGTERM. */
  readonly signal?: AbortSignal | undefined;
}

export interface ExecResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, without stdin. Rejects only when it cannot be run. */
export function tryExec(command: string, args: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs, killSignal: "SIGKILL" }),
      ...options.as,
    });
    const end = (): void => void child.kill("SIGTERM");
    options.signal?.addEventListener("abort", end, { once: true });
    if (options.signal?.aborted === true) end();
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.once("error", reject);
    child.once("close", (code) => {
      options.signal?.removeEventListener("abort", end);
      resolve({ code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
    });
  });
}

/** As `tryExec`, but throws an `InfraError` with the end of the output unless it ends with 0. */
export async function exec(command: string, args: readonly string[], options: ExecOptions = {}): Promise<string> {
  const result = await tryExec(command, args, options);
  if (result.code !== 0) {
    const tail = `${result.stdout}${result.stderr}`.trim().split("\n").slice(-12).join("\n  ");
    throw new InfraError(`${command} ${args.slice(0, 3).join(" ")} ended with ${result.code}:\n  ${tail}`);
  }
  return result.stdout;
}
