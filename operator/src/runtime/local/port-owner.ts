import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";

/**
 * Why nobody can listen there, and what to do; undefined when one can. Asked without `SO_REUSEPORT`, so a sharing
 * listener counts too.
 */
export async function findListenProblem(port: number, host: string): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException | undefined>();
  const server = createServer();
  server.once("error", resolve);
  server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  const error = await promise;
  switch (error?.code) {
    case undefined:
      return error?.message;
    case "EADDRINUSE": {
      const owner = describePortOwner(port);
      return `port ${port} is in use${owner === undefined ? "" : ` by ${owner}`}: end it, or choose another port with --port`;
    }
    case "EACCES":
      return `port ${port} may not be used without more rights: choose one above 1023 with --port`;
    default:
      return `this machine cannot listen at ${host} (${error?.code}): choose another address with --host`;
  }
}

/** Who listens on a TCP port, for a message: `node (pid 123)`; undefined when that cannot be seen. */
function describePortOwner(port: number): string | undefined {
  try {
    return process.platform === "linux" ? ownerFromProc(port) : ownerFromLsof(port);
  } catch {
    return undefined;
  }
}

function ownerFromProc(port: number): string | undefined {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const row of readFileSync(table, "utf8").split("\n").slice(1)) {
      const [, local, , state, , , , , , inode] = row.trim().split(/\s+/);
      // 0A: LISTEN.
      if (local?.endsWith(suffix) === true && state === "0A" && inode !== undefined) inodes.add(`socket:[${inode}]`);
    }
  }
  if (inodes.size === 0) return undefined;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    if (!holds(pid, inodes)) continue;
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim().slice(0, 120);
    return `${command} (pid ${pid})`;
  }
  return "a process of another user";
}

function holds(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}

function ownerFromLsof(port: number): string | undefined {
  const output = execFileSync("lsof", ["-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fpc"], { encoding: "utf8" });
  const pid = /^p(\d+)/m.exec(output)?.[1];
  return pid === undefined ? undefined : `${/^c(.+)$/m.exec(output)?.[1] ?? "a process"} (pid ${pid})`;
}
