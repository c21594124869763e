import { createHash } from "node:crypto";
import { join } from "node:path";
import { exec, InfraError, tryExec } from "../exec.ts";
import type { NativeContext } from "../native/server.ts";
import { seconds, waitUntil, withProgress } from "../progress.ts";
import type { Log, ServerSet, ServiceName } from "../types.ts";

const file = join(import.meta.dirname, "compose.yaml");

const images: Record<ServiceName, string> = {
  kafka: "apache/kafka:4.1.0",
  postgres: "postgres:15",
  redis: "redis:7",
  s3: "versity/versitygw:v1.8.0",
};

const containers = {
  kafka: ["kafka"],
  postgres: ["postgres", "postgres-replica"],
  redis: ["redis"],
  s3: ["s3"],
} as const satisfies Record<ServiceName, readonly string[]>;

const startTimeoutMs = 120_000;
const pullTimeoutMs = 600_000;

type FoundCompose = { readonly kind: "found" } | { readonly kind: "missing"; readonly reason: string };

/** Whether Compose, its engine and the images can be had here; pulls the images when they are not there. */
export async function findCompose(services: readonly ServiceName[], log: Log): Promise<FoundCompose> {
  if ((await findCommand()) === undefined) return { kind: "missing", reason: "there is no Docker Compose" };
  const engine = await tryExec("docker", ["info", "--format", "{{.ServerVersion}}"], { timeoutMs: 10_000 });
  if (engine.code !== 0) return { kind: "missing", reason: "the Docker engine does not answer" };
  for (const service of services) {
    const image = images[service];
    if ((await tryExec("docker", ["image", "inspect", image])).code === 0) continue;
    log(`pulling ${image}`);
    const pull = await withProgress(`pull of ${image}`, log, () =>
      tryExec("docker", ["pull", "--quiet", image], { timeoutMs: pullTimeoutMs }),
    );
    if (pull.code === 0) continue;
    const reason = pull.stderr.trim().split("\n").at(-1) ?? "";
    return { kind: "missing", reason: `the image ${image} cannot be pulled (${reason})` };
  }
  return { kind: "found" };
}

/** The servers as containers of one Compose project, which carries the folder of the set in its name. */
export function makeComposeSet(context: NativeContext, services: readonly ServiceName[]): ServerSet {
  const project = `pricing-engine-${createHash("sha256").update(context.dir).digest("hex").slice(0, 10)}`;
  const { ports } = context;
  const portOf: Record<string, number> = {
    kafka: ports.kafka,
    postgres: ports.postgres,
    "postgres-replica": ports.postgresReplica,
    redis: ports.redis,
    s3: ports.s3,
  };
  const env = {
    PASSWORD: context.password,
    FSYNC: context.durable ? "on" : "off",
    REDIS_APPEND_ONLY: context.durable ? "yes" : "no",
    KAFKA_PORT: String(ports.kafka),
    POSTGRES_PORT: String(ports.postgres),
    POSTGRES_REPLICA_PORT: String(ports.postgresReplica),
    REDIS_PORT: String(ports.redis),
    S3_PORT: String(ports.s3),
  };
  const names = (wanted: readonly ServiceName[]): string[] => wanted.flatMap((service) => containers[service]);

  const compose = async (...args: readonly string[]): Promise<string> => {
    const [program, ...prefix] = (await findCommand()) ?? [];
    if (program === undefined) throw new InfraError("this set runs in Docker Compose, which is no longer there");
    return exec(program, [...prefix, "-p", project, "-f", file, ...args], { env });
  };

  const findHealth = async (name: string): Promise<string> => {
    const id = (await compose("ps", "--all", "--quiet", name)).trim();
    if (id === "") return "absent";
    const format = "{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}";
    return (await tryExec("docker", ["inspect", "--format", format, id])).stdout.trim();
  };

  const isReady = async (name: string): Promise<boolean> => {
    if (name !== "s3") return (await findHealth(name)) === "running healthy";
    const response = await fetch(`http://127.0.0.1:${ports.s3}/health`).catch(() => undefined);
    return response?.ok ?? false;
  };

  const describeDeath = async (name: string): Promise<string | undefined> => {
    if (!(await findHealth(name)).startsWith("exited")) return undefined;
    return `${name} ended while starting:\n${await compose("logs", "--tail", "15", name)}`;
  };

  const up = async (wanted: readonly string[]): Promise<void> => {
    const startedAt = performance.now();
    await withProgress("docker compose up", context.log, () => compose("up", "-d", ...wanted));
    for (const name of wanted) {
      await waitUntil(() => isReady(name), {
        what: `${name} in Docker on port ${portOf[name]}`,
        timeoutMs: startTimeoutMs,
        log: context.log,
        signal: context.signal,
        findFailure: () => describeDeath(name),
      });
      context.log(`${name} is ready on port ${portOf[name]} (${seconds(performance.now() - startedAt)})`);
    }
  };

  return {
    async start() {
      try {
        await up(names(services));
      } catch (error) {
        await compose("stop", "--timeout", "5", ...names(services));
        throw error;
      }
    },
    async stop({ force = false, services: wanted = services } = {}) {
      await compose(force ? "kill" : "stop", ...names(wanted).reverse());
    },
    async restart(service) {
      await compose("stop", ...names([service]).reverse());
      await up(names([service]));
    },
    async kill(service) {
      await compose("kill", ...names([service]).reverse());
    },
    status: () =>
      Promise.all(
        services.flatMap((service) =>
          containers[service].map(async (name) => ({
            name,
            service,
            port: portOf[name] ?? 0,
            running: (await findHealth(name)).startsWith("running"),
          })),
        ),
      ),
    async erase() {
      await compose("down", "--volumes", "--remove-orphans", "--timeout", "5");
    },
  };
}

/** The plugin of the Docker client, or the program of its own that came before it. */
async function findCommand(): Promise<string[] | undefined> {
  for (const command of [["docker", "compose"], ["docker-compose"]]) {
    const [program = "", ...args] = command;
    const result = await tryExec(program, [...args, "version"]).catch(() => undefined);
    if (result?.code === 0) return command;
  }
  return undefined;
}
