import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Identity, InfraError } from "../exec.ts";
import { findPostgresFolders } from "../programs.ts";

/** Where the programs are, whom they run as, and where the data lies. */
export interface PostgresInstallation {
  /** The folder of `postgres`, `initdb`, `pg_basebackup`, `pg_isready` and `psql`. */
  readonly bin: string;
  /** Set when we are root, as whom Postgres refuses to run. */
  readonly as: Identity | undefined;
  /** A folder that `as` can reach. */
  readonly home: string;
}

/** Throws `InfraError` when there is no PostgreSQL, or none that can read the data that is there. */
export function findPostgresInstallation(dir: string): PostgresInstallation {
  const as = process.getuid?.() === 0 ? findUser(["postgres", "nobody"]) : undefined;
  const home = postgresHome(dir);
  return { bin: findBin(home), as, home };
}

/** In the set's folder, unless root's servers could not walk there (a clone below /root): then in /var/lib. */
export function postgresHome(dir: string): string {
  if (process.getuid?.() !== 0) return join(dir, "postgres");
  // The set's own folder is ours to open; those above are not.
  if (existsSync(dir)) chmodSync(dir, (statSync(dir).mode & 0o7777) | 0o011);
  if (isWalkable(dirname(dir))) return join(dir, "postgres");
  const id = createHash("sha256").update(dir).digest("hex").slice(0, 12);
  const home = join("/var/lib/pricing-engine", id, "postgres");
  mkdirSync(dirname(home), { recursive: true, mode: 0o755 });
  return home;
}

function isWalkable(folder: string): boolean {
  for (let path = folder; path !== "/"; path = dirname(path)) {
    if ((statSync(path).mode & 0o001) === 0) return false;
  }
  return true;
}

function findBin(home: string): string {
  const folders = findPostgresFolders();
  const [newest] = folders;
  if (newest === undefined) throw new InfraError("PostgreSQL is not installed");
  const versionFile = join(home, "primary", "PG_VERSION");
  if (!existsSync(versionFile)) return newest;
  const version = readFileSync(versionFile, "utf8").trim();
  const matching = folders.find((folder) => majorOf(folder) === version);
  if (matching === undefined) {
    const there = folders.map(majorOf).join(", ");
    throw new InfraError(
      `the data in ${home} was written by PostgreSQL ${version}, but here is ${there}: install that version, or empty the set with \`npm run infra -- reset\``,
    );
  }
  return matching;
}

function majorOf(folder: string): string {
  if (basename(folder) !== "bin") return "";
  const output = execFileSync(join(folder, "postgres"), ["--version"], { encoding: "utf8" });
  return output.match(/(\d+)/)?.[1] ?? "";
}

function findUser(names: readonly string[]): Identity {
  for (const name of names) {
    try {
      const id = (flag: string): number =>
        Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: "pipe" }));
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // No such user: the next one.
    }
  }
  throw new InfraError(`PostgreSQL refuses to run as root, and there is no user ${names.join(" or ")} to run it as`);
}
