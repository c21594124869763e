import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A limit of CPU time for this process and all that it starts. */
export interface CpuLimit {
  /** Runs a command outside of the limit: the load, and what is not ours. */
  outside(command: readonly string[]): readonly string[];
  /** Resident bytes of the Node processes inside, this one left out; what they share (Node itself) once, as a limit would count it. */
  nodeBytes(): number;
  close(): void;
}

const periodUs = 100_000;

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
    nodeBytes() {
      const each = pids().flatMap((pid) => (pid === process.pid ? [] : (findNodeMemory(pid) ?? [])));
      return each.reduce((sum, { own }) => sum + own, 0) + Math.max(0, ...each.map(({ shared }) => shared));
    },
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

/** Undefined for what is not Node, or has just ended. */
function findNodeMemory(pid: number): { own: number; shared: number } | undefined {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0] ?? "";
    if (!/\bnode$/.test(command)) return undefined;
    const sizes = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    const bytesOf = (name: string): number =>
      Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(sizes)?.[1] ?? 0) * 1024;
    const shared = bytesOf("Shared_Clean") + bytesOf("Shared_Dirty");
    return { own: bytesOf("Rss") - shared, shared };
  } catch {
    return undefined;
  }
}
