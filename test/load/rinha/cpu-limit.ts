import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A limit of CPU time for this process and all that it starts. */
export interface CpuLimit {
  /** Runs a command outside of the limit, and before all else: the load. */
  first(command: readonly string[]): readonly string[];
  /** Runs a command outside of the limit, as a container beside ours: what is not ours. */
  beside(command: readonly string[]): readonly string[];
  /** Resident bytes of the Node processes inside, this one left out; what they share (Node itself) once, as a limit would count it. */
  nodeMemory(): NodeMemory;
  /** How much of the time so far (s) somebody inside had to wait for the quota. */
  throttledSeconds(): number;
  close(): void;
}

export interface NodeMemory {
  readonly bytes: number;
  /** What each has alone, by its service. */
  readonly own: readonly { readonly name: string; readonly bytes: number }[];
}

const periodUs = 100_000;
/*
 * The limit is the quota. What a group weighs beside it decides who comes first while all CPUs are busy: by itself as much as one single
 * process. Ours weighs what as many containers would, and so do the processors. The load comes before both, as if it had a machine of its
 * own: a load generator that waits for its turn would measure itself.
 */
const containers = { ours: 8, processors: 2 };
const first = 64;

/** Undefined where no cgroup can be made, as for most users and in most containers. */
export function limitCpu(cpus: number): CpuLimit | undefined {
  const quota = Math.round(cpus * periodUs);
  const isV1 = existsSync("/sys/fs/cgroup/cpu/cgroup.procs");
  const root = isV1 ? "/sys/fs/cgroup/cpu" : "/sys/fs/cgroup";
  const dir = join(root, `pricing-engine-bench-${process.pid}`);
  const firstDir = join(root, `pricing-engine-load-${process.pid}`);
  const besideDir = join(root, `pricing-engine-processors-${process.pid}`);
  const dirs = [dir, firstDir, besideDir];
  const weigh = (group: string, processes: number): void =>
    writeFileSync(join(group, isV1 ? "cpu.shares" : "cpu.weight"), String(processes * (isV1 ? 1024 : 100)));
  try {
    for (const made of dirs) mkdirSync(made);
    if (isV1) {
      writeFileSync(join(dir, "cpu.cfs_period_us"), String(periodUs));
      writeFileSync(join(dir, "cpu.cfs_quota_us"), String(quota));
    } else writeFileSync(join(dir, "cpu.max"), `${quota} ${periodUs}`);
    weigh(dir, containers.ours);
    weigh(besideDir, containers.processors);
    weigh(firstDir, first);
    writeFileSync(join(dir, "cgroup.procs"), String(process.pid));
  } catch {
    for (const made of dirs) tryRemove(made);
    return undefined;
  }
  const inside =
    (group: string) =>
    (command: readonly string[]): readonly string[] => [
      "sh",
      "-c",
      `echo $$ > ${group}/cgroup.procs; exec "$@"`,
      "sh",
      ...command,
    ];
  const pids = (): number[] => readFileSync(join(dir, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
  return {
    first: inside(firstDir),
    beside: inside(besideDir),
    nodeMemory() {
      const each = pids().flatMap((pid) => (pid === process.pid ? [] : (findNodeMemory(pid) ?? [])));
      const shared = Math.max(0, ...each.map((one) => one.shared));
      return {
        bytes: each.reduce((sum, { own }) => sum + own, shared),
        own: each.map(({ name, own }) => ({ name, bytes: own })),
      };
    },
    throttledSeconds() {
      const text = readFileSync(join(dir, "cpu.stat"), "utf8");
      const [, unit = "", value = "0"] = /^throttled_(time|usec) (\d+)$/m.exec(text) ?? [];
      return Number(value) / (unit === "time" ? 1e9 : 1e6);
    },
    close() {
      writeFileSync(join(root, "cgroup.procs"), String(process.pid));
      for (const made of dirs) tryRemove(made);
    },
  };
}

function tryRemove(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // Never made, or what still ends is in it: an empty one harms nobody.
  }
}

/** Undefined for what is not Node, or has just ended. */
function findNodeMemory(pid: number): { name: string; own: number; shared: number } | undefined {
  try {
    const [command = "", ...args] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    if (!/\bnode$/.test(command)) return undefined;
    const entry = args.findIndex((text) => /\/main\.m?[jt]s$/.test(text));
    const service = /([\w-]+)\/src\/(?:roles\/)?main\.m?[jt]s$/.exec(args[entry] ?? "")?.[1] ?? "node";
    // What the kernel counts anyway: walking through the pages (`smaps_rollup`) stops a process for milliseconds, and tells the same within 0.2 MB.
    const sizes = readFileSync(`/proc/${pid}/status`, "utf8");
    const bytesOf = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(sizes)?.[1] ?? 0) * 1024;
    const own = bytesOf("RssAnon") + bytesOf("RssShmem");
    return { name: `${service} ${args[entry + 1] ?? ""}`.trim(), own, shared: bytesOf("RssFile") };
  } catch {
    return undefined;
  }
}
