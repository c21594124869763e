import { rmSync } from "node:fs";
import { join } from "node:path";
import { InfraError } from "../exec.ts";
import { findPortHolder } from "../port-holder.ts";
import { becomesFree } from "../ports.ts";
import { makeProcesses, type Processes } from "../process.ts";
import { seconds, waitUntil } from "../progress.ts";
import { type ServerSet, type ServiceName, serviceNames } from "../types.ts";
import { postgresHome } from "./postgres-installation.ts";
import type { NativeContext, Server } from "./server.ts";

/** The servers as child processes of nobody: each in its own process group, known by its pid file. */
export function makeNativeSet(context: NativeContext, servers: readonly Server[]): ServerSet {
  const processes = makeProcesses(context.dir);

  const startOne = async (server: Server): Promise<void> => {
    if (!(await processes.isRunning(server.name))) {
      await requireFreePort(server);
      await processes.launch(await server.prepare());
    }
    const startedAt = performance.now();
    await waitUntil(() => server.isReady(), {
      what: `${server.name} on port ${server.port}`,
      timeoutMs: server.startTimeoutMs,
      log: context.log,
      signal: context.signal,
      findFailure: () => processes.describeDeath(server.name),
    });
    await server.settle?.();
    context.log(`${server.name} is ready on port ${server.port} (${seconds(performance.now() - startedAt)})`);
  };

  const startAll = async (wanted: readonly Server[]): Promise<void> => {
    const started = new Map<string, Promise<void>>();
    for (const server of wanted) {
      const before = Promise.all((server.after ?? []).map((name) => started.get(name)));
      started.set(
        server.name,
        before.then(() => startOne(server)),
      );
    }
    const results = await Promise.allSettled(started.values());
    // A server whose predecessor failed fails for the same reason.
    const reasons = new Set<unknown>(
      results.flatMap((result) => (result.status === "rejected" ? [result.reason] : [])),
    );
    const [first, ...others] = reasons;
    if (others.length > 0) throw new InfraError([first, ...others].map(messageOf).join("\n"));
    if (first !== undefined) throw first;
  };

  const of = (service: ServiceName): Server[] => servers.filter((server) => server.service === service);

  return {
    async start() {
      const before = await runningOf(processes, servers);
      try {
        await startAll(servers);
      } catch (error) {
        await stopAll(
          processes,
          servers.filter((server) => !before.includes(server)),
          false,
        );
        throw error;
      }
    },
    stop: ({ force = false, services = serviceNames } = {}) =>
      stopAll(
        processes,
        servers.filter(({ service }) => services.includes(service)),
        force,
      ),
    async restart(service) {
      await stopAll(processes, of(service), false);
      await startAll(of(service));
    },
    kill: (service) => stopAll(processes, of(service), true),
    async status() {
      const running = await runningOf(processes, servers);
      return servers.map((server) => ({
        name: server.name,
        service: server.service,
        port: server.port,
        running: running.includes(server),
      }));
    },
    async erase() {
      const names = servers.flatMap(({ name }) => [`${name}.log`, `${name}.log.1`, `${name}.pid`]);
      const homes = serviceNames.map((service) => join(context.dir, service));
      for (const path of [...homes, ...names.map((name) => join(context.dir, name)), postgresHome(context.dir)]) {
        rmSync(path, { recursive: true, force: true });
      }
    },
  };
}

async function runningOf(processes: Processes, servers: readonly Server[]): Promise<Server[]> {
  const running = await Promise.all(servers.map(({ name }) => processes.isRunning(name)));
  return servers.filter((_server, index) => running[index]);
}

async function stopAll(processes: Processes, servers: readonly Server[], force: boolean): Promise<void> {
  if (force) {
    await Promise.all(servers.map(({ name }) => processes.terminate(name, "SIGKILL", 0)));
    return;
  }
  const stopped = new Map<string, Promise<void>>();
  for (const server of [...servers].reverse()) {
    const dependants = servers.filter(({ after }) => after?.includes(server.name)).map(({ name }) => stopped.get(name));
    const stop = Promise.all(dependants).then(() =>
      processes.terminate(server.name, server.stopSignal, server.stopGraceMs),
    );
    stopped.set(server.name, stop);
  }
  await Promise.all(stopped.values());
}

async function requireFreePort(server: Server): Promise<void> {
  if (await becomesFree(server.port)) return;
  const holder = (await findPortHolder(server.port)) ?? "a process that this user may not see";
  throw new InfraError(`port ${server.port} for ${server.name} is in use by ${holder}; stop it and try again`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
