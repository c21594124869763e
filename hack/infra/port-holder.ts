import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { tryExec } from "./exec.ts";

/** The process that listens on the port, such as `redis-server (pid 12)`, as far as this user may know. */
export async function findPortHolder(port: number): Promise<string | undefined> {
  return process.platform === "linux" ? findOnLinux(port) : findByLsof(port);
}

/** Bare machines have neither `ss` nor `lsof`: the kernel's table names the socket, and a process's files name it too. */
function findOnLinux(port: number): string | undefined {
  const inodes = new Set(["/proc/net/tcp", "/proc/net/tcp6"].flatMap((table) => listeningInodes(table, port)));
  if (inodes.size === 0) return undefined;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const pid = pids.find((candidate) => openInodes(candidate).some((inode) => inodes.has(inode)));
  return pid === undefined ? undefined : `${readFileSync(`/proc/${pid}/comm`, "utf8").trim()} (pid ${pid})`;
}

function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return tryRead(() => readFileSync(table, "utf8").split("\n"))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, address, , state]) => address?.endsWith(suffix) && state === "0A")
    .flatMap((fields) => fields[9] ?? []);
}

function openInodes(pid: string): string[] {
  return tryRead(() => readdirSync(`/proc/${pid}/fd`)).flatMap((fd) =>
    tryRead(() => [readlinkSync(`/proc/${pid}/fd/${fd}`)]).flatMap(
      (link) => link.match(/^socket:\[(\d+)\]$/)?.[1] ?? [],
    ),
  );
}

/** Empty for what is gone by now, or another user's. */
function tryRead(read: () => string[]): string[] {
  try {
    return read();
  } catch {
    return [];
  }
}

async function findByLsof(port: number): Promise<string | undefined> {
  const lsof = await tryExec("lsof", ["-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fpc"]).catch(() => undefined);
  const pid = lsof?.stdout.match(/^p(\d+)$/m)?.[1];
  const name = lsof?.stdout.match(/^c(.+)$/m)?.[1];
  return pid === undefined ? undefined : `${name ?? "a process"} (pid ${pid})`;
}
