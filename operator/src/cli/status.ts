import type { Condition, EngineStatus, WorkerStatus } from "../api/status.ts";
import { isReady } from "../core/conditions.ts";
import { findJson } from "../runtime/local/atomic-file.ts";
import { findRunningOperator, type StateDir } from "../runtime/local/state-dir.ts";

/** What the operator writes down for `npm run status`. */
export interface LocalStatus extends EngineStatus {
  readonly engine: string;
  readonly address: string;
  readonly docs: string;
  readonly log: string;
  readonly updatedAt: string;
}

/** Prints the status. Returns the exit code: 0 only when an operator runs and the engine is Ready. */
export function showStatus(dir: StateDir, json: boolean, say: (line: string) => void): number {
  const running = findRunningOperator(dir);
  const status = findJson(dir.statusFile) as LocalStatus | undefined;
  if (running === undefined) {
    say(json ? JSON.stringify({ running: false }) : "No engine runs. Start one with: npm start");
    return 1;
  }
  if (status === undefined) {
    const { pid, engine, address, startedAt } = running;
    const facts = { running: true, pid, engine, address, log: dir.logFile, conditions: [], workers: [] };
    const text = `${engine}: not ready: it starts, since ${startedAt.slice(0, 19).replace("T", " ")}\n  Log   ${dir.logFile}`;
    say(json ? JSON.stringify(facts, null, 2) : text);
    return 1;
  }
  if (json) say(JSON.stringify({ running: true, pid: running.pid, ...status }, null, 2));
  else for (const line of renderStatus(status)) say(line);
  return isReady(status.conditions) ? 0 : 1;
}

export function renderStatus(status: LocalStatus): readonly string[] {
  const find = (type: Condition["type"]) => status.conditions.find((condition) => condition.type === type);
  const ready = find("Ready");
  const lines = [
    `${status.engine}: ${ready?.status === "True" ? "Ready" : `not ready: ${ready?.message ?? "it has just started"}`}`,
    `  API   ${status.address}`,
    `  Docs  ${status.docs}`,
    `  Log   ${status.log}`,
    "",
    row(["CONDITION", "STATUS", "SINCE", "MESSAGE"]),
    ...status.conditions.map(({ type, status: value, lastTransitionTime, message }) =>
      row([type, value, lastTransitionTime.slice(0, 19).replace("T", " "), message]),
    ),
    "",
    row(["ROLE", "READY", "LAG", "RESTARTS", "PIDS"]),
  ];
  for (const worker of status.workers) {
    const restarts = worker.processes.reduce((sum, process) => sum + process.restarts, 0);
    const pids = worker.processes.flatMap(({ pid }) => (pid === undefined ? [] : [pid])).join(" ");
    const lag = worker.lag === undefined ? "-" : String(worker.lag);
    lines.push(row([worker.role, `${worker.ready}/${worker.desired}`, lag, String(restarts), pids]));
    if (isNews(worker)) lines.push(`    ${worker.reason}`);
    for (const { name, state, reason, lastLog } of worker.processes) {
      if (state === "ready") continue;
      lines.push(`    ${name} ${state}${reason === undefined ? "" : `: ${reason}`}`);
      for (const line of lastLog ?? []) lines.push(`      | ${line}`);
    }
  }
  if (status.processors !== undefined) {
    lines.push("", row(["PROCESSOR", "STATE", "SINCE", "LATENCY"]));
    for (const { name, state, since, latency } of status.processors) {
      lines.push(row([name, state, since.slice(0, 19).replace("T", " "), latency]));
    }
    lines.push(`  Route: ${status.route}`);
    if ((status.manualReview ?? 0) > 0) {
      lines.push(
        `  Manual review: ${status.manualReview} for a person to look at: pnpm payments manual-review lists them`,
      );
    }
  }
  if (status.sources.length > 0) {
    lines.push("", row(["SOURCE", "STATE", "LAST SUCCESS"]));
    for (const { name, state, lastSuccess } of status.sources) {
      lines.push(row([name, state, lastSuccess?.slice(0, 19).replace("T", " ") ?? "-"]));
    }
  }
  if (status.partitions.length > 0) {
    lines.push("", row(["PARTITIONS OF", "MONTHS", "AHEAD UNTIL"]));
    for (const { table, months, aheadUntil } of status.partitions) {
      lines.push(row([table, String(months), aheadUntil.slice(0, 10)]));
    }
  }
  if (status.notImplemented.length > 0) {
    lines.push("", "In the resource, and not run yet:");
    for (const { path, message } of status.notImplemented) lines.push(`  ${path}: ${message}`);
  }
  return lines;
}

/** Of a role that scales. An idle one at its least number has nothing to say. */
function isNews({ lag, reason }: WorkerStatus): boolean {
  return lag !== undefined && reason !== undefined && !reason.startsWith("Steady");
}

/** The first takes the longest table: orders.order_transitions. */
const widths = [24, 8, 20, 10];

function row(cells: readonly string[]): string {
  return `  ${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(" ")}`.trimEnd();
}
