import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { InfraError, tryExec } from "./exec.ts";

/** Where package managers put servers beside the PATH, `*` being a version; the newest comes first. */
const postgresFolders = ["/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin"];
const javaFolders = ["/usr/lib/jvm/*/bin", "/opt/homebrew/opt/openjdk*/bin"];
const minJava = 17;

export function findProgram(name: string, folders: readonly string[] = []): string | undefined {
  const path = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  // Debian keeps some servers where an ordinary user's PATH does not look.
  return [...path, "/usr/sbin", ...folders].map((folder) => join(folder, name)).find(isExecutable);
}

/** PostgreSQL's folders of programs, newest version first. */
export function findPostgresFolders(): string[] {
  const path = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const whole = (folder: string): boolean =>
    ["postgres", "initdb", "pg_basebackup", "psql", "pg_isready"].every((name) => isExecutable(join(folder, name)));
  return [...postgresFolders.flatMap(expand), ...path].filter(whole);
}

/** A Java that can run the broker. */
export async function findJava(): Promise<string | undefined> {
  const home = process.env.JAVA_HOME;
  const candidates = [
    ...(home === undefined || home === "" ? [] : [join(home, "bin", "java")]),
    findProgram("java"),
    ...javaFolders.flatMap(expand).map((folder) => join(folder, "java")),
  ];
  for (const candidate of candidates) {
    if (candidate === undefined || !isExecutable(candidate)) continue;
    const { code, stderr } = await tryExec(candidate, ["-version"]);
    const major = Number(stderr.match(/version "(\d+)/)?.[1]);
    if (code === 0 && major >= minJava) return candidate;
  }
  return undefined;
}

export function requireProgram(name: string): string {
  const path = findProgram(name);
  if (path === undefined) throw new InfraError(`${name} is not installed`);
  return path;
}

function expand(pattern: string): string[] {
  const [before = "", after = ""] = pattern.split("*");
  const parent = before.slice(0, before.lastIndexOf("/"));
  const start = before.slice(before.lastIndexOf("/") + 1);
  if (!existsSync(parent)) return [];
  const names = readdirSync(parent).filter((name) => name.startsWith(start));
  names.sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
  return names.map((name) => join(parent, `${name}${after}`));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
