import { readFileSync } from "node:fs";
import autocannon from "autocannon";

export interface Round {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time of the server processes, microseconds a request. */
  readonly cpuMicros: number;
  /** Answers that were not a 2xx, and connections that broke. */
  readonly failed: number;
}

export interface Target {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Default POST. */
  readonly method?: "GET" | "POST";
  /** The body of each further request; none: it has none. */
  nextBody?(): string;
  /** Its path, when that is not always the same. */
  nextPath?(): string;
  /** Whose CPU time counts. */
  readonly pids: readonly number[];
}

const connections = 64;

/** Keeps 64 connections busy for so long, after a second of which nothing is counted. */
export async function runRound(
  { url, headers, method = "POST", nextBody, nextPath, pids }: Target,
  seconds: number,
): Promise<Round> {
  const latencies: number[] = [];
  let failed = 0;
  let startedMs = Number.POSITIVE_INFINITY;
  let cpuBefore = 0;
  let cpuAfter = 0;
  let endedMs = 0;
  const { promise: done, resolve, reject } = Promise.withResolvers<autocannon.Result>();
  const options: autocannon.Options = {
    url,
    connections,
    duration: seconds + 1,
    method,
    headers: { ...(nextBody === undefined ? {} : { "content-type": "application/json" }), ...headers },
    requests: [
      {
        setupRequest: (request) => ({
          ...request,
          ...(nextBody === undefined ? {} : { body: nextBody() }),
          ...(nextPath === undefined ? {} : { path: nextPath() }),
        }),
      },
    ],
  };
  const run = autocannon(options, (error: unknown, result) => (error ? reject(error) : resolve(result)));
  run.on("response", (_client, status, _bytes, tookMs) => {
    if (performance.now() < startedMs || endedMs > 0) return;
    latencies.push(tookMs);
    if (status < 200 || status > 299) failed += 1;
  });
  const begin = setTimeout(() => {
    startedMs = performance.now();
    cpuBefore = cpuMicrosOf(pids);
  }, 1_000);
  const end = setTimeout(
    () => {
      endedMs = performance.now();
      cpuAfter = cpuMicrosOf(pids);
    },
    1_000 + seconds * 1_000 - 50,
  );
  const result = await done;
  clearTimeout(begin);
  clearTimeout(end);
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return {
    perSecond: (latencies.length * 1_000) / (endedMs - startedMs),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuMicros: (cpuAfter - cpuBefore) / Math.max(1, latencies.length),
    failed: failed + result.errors,
  };
}

// What Linux counts CPU time in.
const ticksPerSecond = 100;

/** User and system time of the processes so far. */
export function cpuMicrosOf(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return (ticks * 1e6) / ticksPerSecond;
}

/** Resident memory, MB. */
export function rssOf(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1] ?? 0) / 1024;
}

export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
  return { median, low: sorted[0] ?? 0, high: sorted.at(-1) ?? 0 };
}
