import { mkdirSync, rmSync, statfsSync } from "node:fs";
import { join, resolve } from "node:path";
import { findCompose, makeComposeSet } from "./compose/set.ts";
import {
  cacheRoot,
  DamagedStateError,
  type Mode,
  makePassword,
  readState,
  removeEndpoints,
  removeState,
  type SetState,
  writeEndpoints,
  writeState,
} from "./directory.ts";
import { endpointsOf } from "./endpoints.ts";
import { InfraError } from "./exec.ts";
import { withLock } from "./lock.ts";
import { isS3Built } from "./native/s3.ts";
import type { KafkaListeners } from "./native/server.ts";
import { nativeServers } from "./native/servers.ts";
import { makeNativeSet } from "./native/set.ts";
import { canRunNatively, installMissing } from "./packages.ts";
import { avoidTakenPorts, fixedPorts, pickRandomPorts } from "./ports.ts";
import {
  type Endpoints,
  type Log,
  type ServerSet,
  type ServerStatus,
  type ServiceName,
  serviceNames,
} from "./types.ts";
import { startWatchdog } from "./watchdog.ts";

export interface InfraOptions<S extends ServiceName> {
  /** Holds the set: its data, logs, pid files and addresses. */
  readonly dir: string;
  readonly services: readonly S[];
  /** `fixed` for people: well-known ones, others where those are taken. `random` for sets beside each other, which keep theirs. */
  readonly ports: "fixed" | "random";
  /** Default `auto`: Docker Compose when it and its images can be had, otherwise native. */
  readonly mode?: Mode | "auto";
  /** `session`: what it starts ends with this process, also when that is killed. `detached`: runs until `stopInfra`. */
  readonly lifetime: "session" | "detached";
  /** For tests: nothing is synced to disk, and the folder is deleted at the end. Default false. */
  readonly ephemeral?: boolean;
  /** Of a native broker for tests: further ways in. */
  readonly kafkaListeners?: KafkaListeners;
  /**
   * Of a native broker that this call or its `restart` starts: a heap of so many MB, as one in operation has it: taken whole at the start.
   * Default: it grows, 384 at most.
   */
  readonly kafkaHeapMb?: number;
  /** False: Postgres' primary alone, native only; `postgresReplicaUrl` is its address then. A set keeps what it began with. Default true. */
  readonly replica?: boolean;
  /** Ends a start that nobody wants any more: what it started is stopped again. */
  readonly signal?: AbortSignal | undefined;
  /** Gets a line per step: what is waited for, and how long. */
  readonly log: Log;
}

/** A set of real servers that answer. */
export interface Infra<S extends ServiceName = ServiceName> {
  readonly endpoints: Endpoints<S>;
  stop(): Promise<void>;
  /** Stops the server in order (when it runs) and starts it again, same port and data. */
  restart(service: S): Promise<void>;
  /** SIGKILL. `restart` brings it back. */
  kill(service: S): Promise<void>;
}

const minFreeBytes = 300 * 1024 * 1024;

/** Starts what does not run yet, and repairs what an earlier start left. Throws `InfraError` with what to do. */
export async function startInfra<const S extends ServiceName>(options: InfraOptions<S>): Promise<Infra<S>> {
  const dir = resolve(options.dir);
  const { log, lifetime, services, ephemeral = false } = options;
  prepareFolder(dir);
  return withSetLock(dir, log, async () => {
    const known = readState(dir);
    const set = known && makeSet(dir, known, known.services, log);
    const held = (await set?.status())?.filter(({ running }) => running).map(({ port }) => port) ?? [];
    const before = set === undefined ? [] : await findRunning(set);
    // Who finds a server running leaves it running.
    const own = services.filter((name) => !before.includes(name));
    const watchdog =
      lifetime === "session" ? startWatchdog(dir, ephemeral ? ["reset"] : ["down", ...only(own)]) : undefined;
    try {
      const mode = await chooseMode(options.mode ?? "auto", known, services, ephemeral, log);
      const state: SetState = {
        ports:
          options.ports === "fixed"
            ? await avoidTakenPorts(known?.ports ?? fixedPorts, own, held, log)
            : (known?.ports ?? (await pickRandomPorts())),
        password: known?.password ?? makePassword(),
        mode,
        services: serviceNames.filter((name) => [...(known?.services ?? []), ...services].includes(name)),
        durable: !ephemeral,
        replica: chooseReplica(options.replica, known, mode),
      };
      writeState(dir, state);
      if (state.mode === "native") await installMissing(services, cacheRoot(), log);
      const set = makeSet(dir, state, services, log, options);
      await set.start();
      const endpoints = endpointsOf(await findRunning(makeSet(dir, state, state.services, log)), state);
      writeEndpoints(dir, endpoints);
      return {
        endpoints: endpoints as Endpoints<S>,
        async stop() {
          if (ephemeral) await eraseInfra(dir, log);
          else await stopInfra(dir, log, own);
          watchdog?.dismiss();
        },
        restart: (service) => set.restart(service),
        kill: (service) => set.kill(service),
      };
    } catch (error) {
      watchdog?.dismiss();
      if (ephemeral) rmSync(dir, { recursive: true, force: true });
      throw explain(error, dir);
    }
  });
}

function only(services: readonly ServiceName[]): string[] {
  return ["--only", services.join(",")];
}

/** Stops a set (or some of it) that this or another process started. */
export async function stopInfra(dir: string, log: Log, services: readonly ServiceName[] = serviceNames): Promise<void> {
  await withSet(resolve(dir), log, async (set, state) => {
    await set.stop({ services, force: !state.durable });
    const left = await findRunning(set);
    if (left.length > 0) writeEndpoints(resolve(dir), endpointsOf(left, state));
    else removeEndpoints(resolve(dir));
  });
}

/** Stops a set and empties it: the next start begins with no data, at new addresses. */
export async function eraseInfra(dir: string, log: Log): Promise<void> {
  replaceDamagedState(resolve(dir));
  await withSet(resolve(dir), log, async (set, state) => {
    await set.stop({ force: true });
    await set.erase();
    removeState(resolve(dir));
    if (!state.durable) rmSync(resolve(dir), { recursive: true, force: true });
  });
}

/** What native servers left can be found and deleted without their state: by their names. */
function replaceDamagedState(dir: string): void {
  try {
    readState(dir);
  } catch (error) {
    if (!(error instanceof DamagedStateError)) throw error;
    writeState(dir, { ports: fixedPorts, password: "", mode: "native", services: serviceNames, durable: true });
  }
}

/** Whether the set's S3 server needs no build first: in containers it never does, natively one that takes minutes. */
export async function canStartS3AtOnce(dir: string, log: Log): Promise<boolean> {
  if (isS3Built(cacheRoot())) return true;
  const known = readState(resolve(dir));
  return known === undefined ? (await findCompose(["s3"], log)).kind === "found" : known.mode === "compose";
}

/** Every server the set has had, and whether it runs. Empty when there has never been one. */
export async function infraStatus(dir: string): Promise<ServerStatus[]> {
  const state = readState(resolve(dir));
  return state === undefined ? [] : makeSet(resolve(dir), state, state.services, () => {}).status();
}

/** Also counts what an earlier start brought up and this one did not ask for. */
async function findRunning(set: ServerSet): Promise<ServiceName[]> {
  const servers = await set.status();
  return serviceNames.filter((name) => {
    const own = servers.filter(({ service }) => service === name);
    return own.length > 0 && own.every(({ running }) => running);
  });
}

async function withSet(dir: string, log: Log, work: (set: ServerSet, state: SetState) => Promise<void>): Promise<void> {
  if (readState(dir) === undefined) return;
  await withSetLock(dir, log, async () => {
    const state = readState(dir);
    if (state !== undefined) await work(makeSet(dir, state, state.services, log), state);
  });
}

function withSetLock<T>(dir: string, log: Log, work: () => Promise<T>): Promise<T> {
  return withLock(join(dir, "set.lock"), "another command on this set", log, work);
}

function makeSet(
  dir: string,
  state: SetState,
  services: readonly ServiceName[],
  log: Log,
  {
    kafkaListeners,
    kafkaHeapMb,
    signal,
  }: Pick<InfraOptions<ServiceName>, "kafkaListeners" | "kafkaHeapMb" | "signal"> = {},
): ServerSet {
  const { ports, password, durable, replica = true } = state;
  const cacheDir = cacheRoot();
  const context = { dir, cacheDir, ports, password, durable, replica, kafkaListeners, kafkaHeapMb, log, signal };
  return state.mode === "native"
    ? makeNativeSet(context, nativeServers(context, services))
    : makeComposeSet(context, services);
}

function chooseReplica(wanted: boolean | undefined, known: SetState | undefined, mode: Mode): boolean {
  const before = known?.services.includes("postgres") ? (known.replica ?? true) : undefined;
  if (wanted !== undefined && before !== undefined && wanted !== before) {
    const how = before ? "with" : "without";
    throw new InfraError(`this set's Postgres was made ${how} a replica: \`npm run infra -- reset\` empties it first`);
  }
  const replica = before ?? wanted ?? true;
  if (!replica && mode === "compose")
    throw new InfraError("Compose has no Postgres without a replica: mode native has");
  return replica;
}

/** Data stays with the mode that wrote it. A set for tests is rather native: that starts faster. */
async function chooseMode(
  wanted: Mode | "auto",
  known: SetState | undefined,
  services: readonly ServiceName[],
  ephemeral: boolean,
  log: Log,
): Promise<Mode> {
  if (known !== undefined && (wanted === "auto" || wanted === known.mode)) return known.mode;
  if (known !== undefined) {
    throw new InfraError(`this set's data was made in mode ${known.mode}: \`npm run infra -- reset\` empties it first`);
  }
  if (wanted === "native") return "native";
  if (wanted === "auto" && ephemeral && (await canRunNatively(services, cacheRoot()))) return "native";
  const compose = await findCompose(services, log);
  if (compose.kind === "found") return "compose";
  if (wanted === "compose") throw new InfraError(`Docker Compose cannot be used: ${compose.reason}`);
  log(`native servers, since ${compose.reason}`);
  return "native";
}

function prepareFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true });
  } catch (error) {
    throw new InfraError(`cannot make the folder ${dir}: ${String(error)}`, { cause: error });
  }
  const { bavail, bsize } = statfsSync(dir);
  if (bavail * bsize < minFreeBytes) {
    throw new InfraError(
      `the disk that holds ${dir} has ${Math.floor((bavail * bsize) / 1024 ** 2)} MB left; 300 are needed`,
    );
  }
}

function explain(error: unknown, dir: string): unknown {
  const text = error instanceof Error ? error.message : String(error);
  if (!/ENOSPC|No space left on device/.test(text)) return error;
  return new InfraError(`the disk that holds ${dir} is full`, { cause: error });
}
