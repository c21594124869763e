/**
 * One child process that is to run:
 *
 *   starting ──ready file──▶ ready ⇄ unready
 *      │  └──────────exit──────┴───────┴──▶ waiting ──backoff──▶ starting
 *      └─ stop() from anywhere ─▶ stopping ─▶ stopped
 *
 * A process that is not ready within `startTimeoutMs`, or answers nothing for `silentLimitMs`, is killed: it counts as a
 * failure like any other end. The limit is long on purpose: a process that only stalls keeps its work.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { ReplicaStatus } from "../../api/status.ts";
import { decideRestart, defaultRestartPolicy, type RestartPolicy } from "../../core/restart.ts";
import { findJson } from "./atomic-file.ts";
import type { ChildRecords } from "./child-records.ts";
import { readLines } from "./log-lines.ts";
import { probeReadiness } from "./probe.ts";

export interface ProcessSpec {
  /** Unique: `pricing-worker-1`. */
  readonly name: string;
  readonly role: string;
  readonly entry: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly readyFile: string;
  /** Another hash is another process: it is replaced. */
  readonly podHash: string;
}

export interface ProcessTiming {
  readonly probeEveryMs: number;
  readonly startTimeoutMs: number;
  readonly silentLimitMs: number;
  readonly graceMs: number;
  readonly restart: RestartPolicy;
}

export const defaultTiming: ProcessTiming = {
  probeEveryMs: 1000,
  startTimeoutMs: 60_000,
  silentLimitMs: 60_000,
  graceMs: 10_000,
  restart: defaultRestartPolicy,
};

export interface ManagedProcess {
  readonly spec: ProcessSpec;
  status(): ReplicaStatus;
  /** Ports it listens on, once it was ready. */
  ports(): { readonly httpPort?: number | undefined; readonly metricsPort?: number | undefined };
  /** SIGTERM, and SIGKILL after the grace time. Resolves when it is gone. */
  stop(): Promise<void>;
  /** At once, by force. Resolves when it is gone. */
  kill(): Promise<void>;
}

export interface ManagedProcessDeps {
  readonly timing: ProcessTiming;
  readonly records: ChildRecords;
  readonly random: () => number;
  readonly now: () => number;
  onLine(name: string, line: string): void;
  onChange(): void;
}

const childGuard = fileURLToPath(new URL("./child-guard.mjs", import.meta.url));
const readyFileSchema = z.object({ httpPort: z.int().optional(), metricsPort: z.int().optional(), pid: z.int() });
const keptLines = 12;
const pollReadyFileMs = 25;

export function manageProcess(spec: ProcessSpec, deps: ManagedProcessDeps): ManagedProcess {
  const { timing, records, now } = deps;
  let state: ReplicaStatus["state"] = "starting";
  let child: ChildProcess | undefined;
  let restarts = 0;
  let failures = 0;
  let reason: string | undefined;
  let lines: string[] = [];
  /** Of the run before, kept until the next one is ready. */
  let lastLog: readonly string[] | undefined;
  let startedAt = 0;
  let readySince: number | undefined;
  let answeredAt = 0;
  let ports: { httpPort?: number | undefined; metricsPort?: number | undefined } = {};
  let timer: NodeJS.Timeout | undefined;
  const gone = Promise.withResolvers<void>();

  function become(next: ReplicaStatus["state"], why?: string): void {
    const changed = state !== next || reason !== why;
    state = next;
    reason = why;
    if (changed) deps.onChange();
  }

  function start(): void {
    rmSync(spec.readyFile, { force: true });
    mkdirSync(dirname(spec.readyFile), { recursive: true });
    lines = [];
    ports = {};
    readySince = undefined;
    startedAt = now();
    become("starting", reason);
    // Its own process group: Ctrl-C reaches the operator alone, which then stops the children in order.
    const started = spawn(process.execPath, ["--import", childGuard, spec.entry, ...spec.args], {
      env: { ...spec.env, READY_FILE: spec.readyFile },
      stdio: ["ignore", "pipe", "pipe", "pipe"],
      detached: true,
    });
    child = started;
    if (started.pid !== undefined) records.add(started.pid, spec.name);
    const note = (line: string) => {
      lines.push(line);
      if (lines.length > keptLines) lines.shift();
      deps.onLine(spec.name, line);
    };
    if (started.stdout !== null) readLines(started.stdout, note);
    if (started.stderr !== null) readLines(started.stderr, note);
    started.stdio[3]?.on("error", () => undefined);
    started.once("error", (error) => {
      if (started.pid === undefined) ended(started, `cannot be started: ${error.message}`);
    });
    // Not `exit`: after `close` its last words are read.
    started.once("close", (code, signal) => {
      ended(started, signal === null ? `exited with code ${code}` : `was ended by ${signal}`);
    });
    timer = setTimeout(awaitReadyFile, pollReadyFileMs);
  }

  function ended(which: ChildProcess, how: string): void {
    if (child !== which) return;
    clearTimeout(timer);
    child = undefined;
    if (which.pid !== undefined) records.remove(which.pid);
    if (state === "stopping") {
      become("stopped");
      gone.resolve();
      return;
    }
    const readyForMs = readySince === undefined ? 0 : now() - readySince;
    const decision = decideRestart(failures, readyForMs, deps.random(), timing.restart);
    failures = decision.failures;
    restarts++;
    lastLog = lines;
    timer = setTimeout(start, decision.delayMs);
    const loop = decision.crashLoop ? `crash loop, ${decision.failures} times in a row: ` : "";
    become("waiting", `${loop}${how}; next start in ${(decision.delayMs / 1000).toFixed(1)} s`);
  }

  function awaitReadyFile(): void {
    const file = readyFileSchema.safeParse(findJson(spec.readyFile));
    if (file.success && file.data.pid === child?.pid) {
      ports = file.data;
      answeredAt = now();
      void probe();
      return;
    }
    if (now() - startedAt > timing.startTimeoutMs) {
      deps.onLine(spec.name, `operator: not ready after ${timing.startTimeoutMs / 1000} s, starting it again`);
      child?.kill("SIGKILL");
      return;
    }
    timer = setTimeout(awaitReadyFile, pollReadyFileMs);
  }

  async function probe(): Promise<void> {
    const probed = child;
    const result =
      ports.metricsPort === undefined
        ? ({ kind: "ready" } as const)
        : await probeReadiness(ports.metricsPort, timing.probeEveryMs * 2);
    if (child !== probed || child === undefined || state === "stopping") return;
    if (result.kind !== "silent") answeredAt = now();
    if (result.kind === "ready") {
      readySince ??= now();
      if (now() - readySince >= timing.restart.stableAfterMs) {
        failures = 0;
        lastLog = undefined;
      }
      become("ready");
    } else {
      become(state === "starting" ? "starting" : "unready", result.reason);
    }
    if (now() - answeredAt > timing.silentLimitMs) {
      deps.onLine(spec.name, `operator: no answer for ${timing.silentLimitMs / 1000} s, starting it again`);
      child.kill("SIGKILL");
      return;
    }
    timer = setTimeout(
      () => void probe(),
      state === "ready" ? timing.probeEveryMs : Math.min(100, timing.probeEveryMs),
    );
  }

  start();
  return {
    spec,
    ports: () => ports,
    status: () => ({
      name: spec.name,
      ...(child?.pid === undefined ? {} : { pid: child.pid }),
      state,
      restarts,
      ...(reason === undefined ? {} : { reason }),
      ...(lastLog === undefined ? {} : { lastLog }),
    }),
    stop() {
      if (state === "stopping" || state === "stopped") return gone.promise;
      clearTimeout(timer);
      become("stopping");
      const stopped = child;
      if (stopped === undefined) {
        become("stopped");
        gone.resolve();
        return gone.promise;
      }
      stopped.kill("SIGTERM");
      const force = setTimeout(() => stopped.kill("SIGKILL"), timing.graceMs + 2000);
      return gone.promise.finally(() => clearTimeout(force));
    },
    kill() {
      if (state !== "stopping" && state !== "stopped") void this.stop();
      child?.kill("SIGKILL");
      return gone.promise;
    },
  };
}
