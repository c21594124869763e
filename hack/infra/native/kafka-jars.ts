import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../exec.ts";
import { withLock } from "../lock.ts";
import { requireProgram } from "../programs.ts";
import { withProgress } from "../progress.ts";
import type { Log } from "../types.ts";

const pom = join(import.meta.dirname, "..", "kafka", "pom.xml");
const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

export function kafkaJarsAreThere(cacheDir: string): boolean {
  return existsSync(jarsFolder(cacheDir));
}

/** Brings the broker's jars through Maven, once per pom, and gives the folder that holds them. */
export async function ensureKafkaJars(cacheDir: string, log: Log, signal?: AbortSignal): Promise<string> {
  const folder = jarsFolder(cacheDir);
  if (existsSync(folder)) return folder;
  mkdirSync(cacheDir, { recursive: true });
  await withLock(join(cacheDir, "kafka.lock"), "another download of Kafka's jars", log, async () => {
    if (existsSync(folder)) return;
    log("bringing Kafka's jars through Maven (43 MB, once)");
    const fresh = `${folder}.new`;
    rmSync(fresh, { recursive: true, force: true });
    const args = ["-q", "-B", "-f", pom, goal, "-DincludeScope=runtime", `-DoutputDirectory=${fresh}`];
    await withProgress("mvn", log, () => exec(requireProgram("mvn"), args, { signal }));
    renameSync(fresh, folder);
  });
  return folder;
}

function jarsFolder(cacheDir: string): string {
  const version = createHash("sha256").update(readFileSync(pom)).digest("hex").slice(0, 12);
  return join(cacheDir, `kafka-${version}`);
}
