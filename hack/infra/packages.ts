import { join } from "node:path";
import { exec, InfraError, tryExec } from "./exec.ts";
import { withLock } from "./lock.ts";
import { kafkaJarsAreThere } from "./native/kafka-jars.ts";
import { findJava, findPostgresFolders, findProgram } from "./programs.ts";
import { withProgress } from "./progress.ts";
import type { Log, ServiceName } from "./types.ts";

/** A program that is missing, and the packages that bring it: the first one that the system knows. */
interface Missing {
  readonly program: string;
  readonly apt: readonly string[];
  readonly brew: string;
}

/** Programs without which the services cannot run here. */
async function findMissing(services: readonly ServiceName[], cacheDir: string): Promise<Missing[]> {
  const missing: Missing[] = [];
  if (services.includes("postgres") && findPostgresFolders().length === 0) {
    missing.push({ program: "PostgreSQL", apt: ["postgresql"], brew: "postgresql@17" });
  }
  if (services.includes("redis") && findProgram("redis-server") === undefined) {
    missing.push({ program: "redis-server", apt: ["redis-server"], brew: "redis" });
  }
  if (services.includes("kafka")) {
    if ((await findJava()) === undefined) {
      const apt = ["openjdk-21-jre-headless", "openjdk-17-jre-headless", "openjdk-25-jre-headless"];
      missing.push({ program: "Java 17 or newer", apt, brew: "openjdk" });
    }
    if (!kafkaJarsAreThere(cacheDir) && findProgram("mvn") === undefined) {
      missing.push({ program: "Maven (brings Kafka's jars)", apt: ["maven"], brew: "maven" });
    }
  }
  return missing;
}

/** Whether `installMissing` would leave nothing missing without anybody's help. */
export async function canRunNatively(services: readonly ServiceName[], cacheDir: string): Promise<boolean> {
  if ((await findMissing(services, cacheDir)).length === 0) return true;
  return findProgram("apt-get") !== undefined && (await findElevation()) !== undefined;
}

/** Installs what is missing from the system's packages. Throws with the exact command when it may not. */
export async function installMissing(services: readonly ServiceName[], cacheDir: string, log: Log): Promise<void> {
  if ((await findMissing(services, cacheDir)).length === 0) return;
  await withLock(join(cacheDir, "install.lock"), "another installation", log, async () => {
    const missing = await findMissing(services, cacheDir);
    if (missing.length === 0) return;
    const names = missing.map(({ program }) => program).join(", ");
    if (findProgram("apt-get") === undefined) {
      const brew = `brew install ${missing.map((entry) => entry.brew).join(" ")}`;
      const how = findProgram("brew") === undefined ? "install them, or start Docker" : `run: ${brew}`;
      throw new InfraError(`missing: ${names}; ${how}`);
    }
    const elevate = await findElevation();
    const install = await resolvePackages(missing, elevate, log);
    const command = ["apt-get", "install", "-y", "--no-install-recommends", ...install];
    if (elevate === undefined) {
      throw new InfraError(`missing: ${names}; run: sudo ${command.join(" ")}\n(or start Docker)`);
    }
    log(`installing ${names} from the system's packages: ${command.join(" ")}`);
    await runApt(elevate, ["-o", "DPkg::Lock::Timeout=300", ...command.slice(1)], log);
    const left = await findMissing(services, cacheDir);
    if (left.length > 0) throw new InfraError(`still missing: ${left.map(({ program }) => program).join(", ")}`);
  });
}

async function resolvePackages(
  missing: readonly Missing[],
  elevate: readonly string[] | undefined,
  log: Log,
): Promise<string[]> {
  const resolve = async (): Promise<(string | undefined)[]> =>
    Promise.all(missing.map(async ({ apt: names }) => findKnownPackage(names)));
  let found = await resolve();
  if (found.includes(undefined)) {
    // A bare container has no package lists yet.
    if (elevate !== undefined) await runApt(elevate, ["update"], log);
    found = await resolve();
  }
  return missing.map(({ apt: names }, index) => found[index] ?? names[0] ?? "");
}

async function findKnownPackage(names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    const { stdout } = await tryExec("apt-cache", ["policy", name], { env: { LC_ALL: "C" } });
    if (/Candidate: (?!\(none\))/.test(stdout)) return name;
  }
  return undefined;
}

/** What goes before a command to run it as root: nothing, sudo, or undefined when we may not. */
async function findElevation(): Promise<string[] | undefined> {
  if (process.getuid?.() === 0) return [];
  if (findProgram("sudo") === undefined) return undefined;
  const { code } = await tryExec("sudo", ["-n", "true"]);
  return code === 0 ? ["sudo", "-n"] : undefined;
}

async function runApt(elevate: readonly string[], args: readonly string[], log: Log): Promise<void> {
  // RUNLEVEL=1 keeps packages from starting their own servers where there is no systemd.
  const environment = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "LC_ALL=C"];
  const [program = "", ...rest] = [...elevate, ...environment, "apt-get", ...args];
  await withProgress(`apt-get ${args.find((arg) => /^[a-z]/.test(arg))}`, log, () => exec(program, rest));
}
