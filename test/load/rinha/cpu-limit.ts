import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A limit of CPU time for this process and all that it starts. */
export interface CpuLimit {
  /** Runs a command outside of the limit: the load, and what is not ours. */
  outside(command: readonly string[]): readonly string[];
  /** Resident bytes of the Node processes inside, this one left out. */
  nodeBytes(): number;
  close(): void;
}

const periodUs = 100_000;
const pageBytes = 4096;

/** Undefined where no cgroup can be made, as for most users and in most containers. */
export function limitCpu(cpus: number): CpuLimit | undefined {
  const quota = Math.round(cpus * periodUs);
  const isV1 = existsSync("/sys/fs/cgroup/cpu/cgroup.procs");
  const root = isV1 ? "/sys/fs/cgroup/cpu" : "/sys/fs/cgroup";
  const dir = join(root, `pricing-engine-bench-${process.pid}`);
  try {
    mkdirSync(dir);
    if (isV1) {
      writeFileSync(join(dir, "cpu.cfs_period_us"), String(periodUs));
      writeFileSync(join(dir, "cpu.cfs_quota_us"), String(quota));
    } else writeFileSync(join(dir, "cpu.max"), `${quota} ${periodUs}`);
    writeFileSync(join(dir, "cgroup.procs"), String(process.pid));
  } catch {
    if (existsSync(dir)) rmdirSync(dir);
    return undefined;
  }
  const pids = (): number[] => readFileSync(join(dir, "cgroup.procs"), "utf8").trim().split("\n").map(Number);
  return {
    outside: (command) => ["sh", "-c", `echo $$ > ${root}/cgroup.procs; exec "$@"`, "sh", ...command],
    nodeBytes: () => pids().reduce((sum, pid) => sum + (pid === process.pid ? 0 : nodeBytesOf(pid)), 0),
    close() {
      writeFileSync(join(root, "cgroup.procs"), String(process.pid));
      // What still ends keeps it for a moment; an empty one harms nobody.
      if (pids().every(Number.isNaN) || readdirSync(dir).length === 0) tryRemove(dir);
    },
  };
}

function tryRemove(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // Somebody is still in it.
  }
}

function nodeBytesOf(pid: number): number {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0] ?? "";
    if (!/\bnode$/.test(command)) return 0;
    return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * pageBytes;
  } catch {
    return 0;
  }
}
