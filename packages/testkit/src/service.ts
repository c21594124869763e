import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { eventually } from "./eventually.ts";

export interface SpawnServiceOptions {
  /** The service's `main.ts`, as a path or file URL. */
  readonly entry: string | URL;
  /** Command line arguments, such as the role. */
  readonly args?: readonly string[];
  /** Added to a minimal environment; `HTTP_PORT` and `METRICS_PORT` are 0 unless given. */
  readonly env?: Readonly<Record<string, string>>;
  /** Until it is ready; default 60 s. */
  readonly timeoutMs?: number;
}

interface ServiceExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A service of ours as a child process. It dies with the test process. */
export interface SpawnedService extends AsyncDisposable {
  readonly pid: number;
  /** 0 when the service has none. */
  readonly httpPort: number;
  readonly metricsPort: number;
  /** `http://127.0.0.1:<httpPort>` */
  readonly url: string;
  readonly exited: Promise<ServiceExit>;
  /** What it wrote to stdout and stderr. */
  output(): string;
  /** Sends the signal (default SIGKILL) and waits until it is gone. */
  kill(signal?: NodeJS.Signals): Promise<ServiceExit>;
  /** SIGSTOP: a zombie in the making. */
  pause(): void;
  resume(): void;
  /** SIGTERM, then SIGKILL after 25 s. */
  stop(): Promise<ServiceExit>;
}

const stopGraceMs = 25_000;
const readySchema = z.object({ httpPort: z.number().default(0), metricsPort: z.number().default(0) });

/** Starts the service and resolves once its ready file is there; rejects with its output when it exits before. */
export async function spawnService(options: SpawnServiceOptions): Promise<SpawnedService> {
  const folder = mkdtempSync(join(tmpdir(), "pricing-engine-service-"));
  const readyFile = join(folder, "ready.json");
  const entry = options.entry instanceof URL ? fileURLToPath(options.entry) : options.entry;
  const child = spawn(
    process.execPath,
    ["--import", new URL("./die-with-parent.mjs", import.meta.url).href, entry, ...(options.args ?? [])],
    {
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        HTTP_HOST: "127.0.0.1",
        HTTP_PORT: "0",
        METRICS_PORT: "0",
        READY_FILE: readyFile,
        ...options.env,
      },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    },
  );
  const chunks: string[] = [];
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => chunks.push(chunk));
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => chunks.push(chunk));
  const output = (): string => chunks.join("");
  let exit: ServiceExit | undefined;
  let told = false;
  const exited = new Promise<ServiceExit>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      exit = { code, signal };
      // A test that needs it fails somewhere else, where nobody would see why.
      if (!told) console.error(`${entry} ended by itself with ${code ?? signal}:\n${output().slice(-4_000)}`);
      rmSync(folder, { recursive: true, force: true });
      resolve(exit);
    });
  });

  const kill = (signal: NodeJS.Signals = "SIGKILL"): Promise<ServiceExit> => {
    told = true;
    child.kill(signal);
    return exited;
  };
  const stop = async (): Promise<ServiceExit> => {
    // A paused process would not hear the SIGTERM.
    child.kill("SIGCONT");
    const timer = setTimeout(() => child.kill("SIGKILL"), stopGraceMs);
    try {
      return await kill("SIGTERM");
    } finally {
      clearTimeout(timer);
    }
  };

  const readReady = (): z.infer<typeof readySchema> | undefined =>
    exit === undefined ? readySchema.parse(JSON.parse(readFileSync(readyFile, "utf8"))) : undefined;
  const ready = await eventually(readReady, { timeoutMs: options.timeoutMs ?? 60_000 }).catch(
    async (error: unknown) => {
      await kill();
      throw new Error(`${entry} was not ready in time:\n${output()}`, { cause: error });
    },
  );
  if (ready === undefined)
    throw new Error(`${entry} ended with ${JSON.stringify(exit)} before it was ready:\n${output()}`);

  return {
    pid: child.pid ?? 0,
    httpPort: ready.httpPort,
    metricsPort: ready.metricsPort,
    url: `http://127.0.0.1:${ready.httpPort}`,
    exited,
    output,
    kill,
    pause: () => child.kill("SIGSTOP"),
    resume: () => child.kill("SIGCONT"),
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
    },
  };
}
