/**
 * Keeps a set of processes running. A changed process is replaced one at a time per role, the next one only when the
 * replacement is ready, so that a role with several copies keeps answering.
 */

import { EventEmitter, once } from "node:events";
import type { ReplicaStatus } from "../../api/status.ts";
import {
  defaultTiming,
  type ManagedProcess,
  type ManagedProcessDeps,
  manageProcess,
  type ProcessSpec,
  type ProcessTiming,
} from "./managed-process.ts";

export interface SupervisedProcess extends ReplicaStatus {
  readonly role: string;
  readonly httpPort?: number | undefined;
  readonly metricsPort?: number | undefined;
}

export interface Supervisor {
  /** Makes exactly these run. Returns at once; `list` and `changed` tell how far it is. */
  apply(specs: readonly ProcessSpec[]): void;
  list(): readonly SupervisedProcess[];
  /** Resolves at the next change of any process, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void>;
  /** Stops all: the roles of `first` before the others, which they call. */
  stop(first: readonly string[]): Promise<void>;
  /** At once, by force: nothing is handed back. Resolves when all are gone. */
  kill(): Promise<void>;
}

export interface SupervisorDeps {
  readonly records: ManagedProcessDeps["records"];
  readonly timing?: Partial<ProcessTiming>;
  readonly random?: () => number;
  readonly now?: () => number;
  onLine(name: string, line: string): void;
}

export function makeSupervisor(deps: SupervisorDeps): Supervisor {
  const events = new EventEmitter().setMaxListeners(0);
  const running = new Map<string, ManagedProcess>();
  /** Those that were taken off the list and still wind down. */
  const leaving = new Set<ManagedProcess>();
  const replacing = new Set<string>();
  let desired = new Map<string, ProcessSpec>();
  let closed = false;

  const processDeps: ManagedProcessDeps = {
    timing: { ...defaultTiming, ...deps.timing },
    records: deps.records,
    random: deps.random ?? Math.random,
    now: deps.now ?? (() => performance.now()),
    onLine: deps.onLine,
    onChange: () => events.emit("change"),
  };

  function retire(managed: ManagedProcess): Promise<void> {
    running.delete(managed.spec.name);
    leaving.add(managed);
    return managed.stop().finally(() => {
      leaving.delete(managed);
      events.emit("change");
    });
  }

  function findOutdated(role: string): ManagedProcess | undefined {
    for (const managed of running.values()) {
      const wanted = desired.get(managed.spec.name);
      if (managed.spec.role === role && wanted !== undefined && wanted.podHash !== managed.spec.podHash) return managed;
    }
    return undefined;
  }

  async function replaceRole(role: string): Promise<void> {
    if (replacing.has(role)) return;
    replacing.add(role);
    try {
      for (let old = findOutdated(role); old !== undefined && !closed; old = findOutdated(role)) {
        const wanted = desired.get(old.spec.name);
        await retire(old);
        // The wish may have changed while the old one wound down.
        const spec = desired.get(old.spec.name) ?? wanted;
        if (closed || spec === undefined || !desired.has(spec.name)) continue;
        running.set(spec.name, manageProcess(spec, processDeps));
        await settled(spec.name);
      }
    } finally {
      replacing.delete(role);
    }
  }

  /** Until the process is ready, has failed for the first time, or is wanted no more. */
  async function settled(name: string): Promise<void> {
    while (!closed) {
      const managed = running.get(name);
      if (managed === undefined || managed.status().state === "ready" || managed.status().restarts > 0) return;
      await once(events, "change");
    }
  }

  return {
    apply(specs) {
      if (closed) return;
      desired = new Map(specs.map((spec) => [spec.name, spec]));
      for (const managed of [...running.values()]) {
        if (!desired.has(managed.spec.name)) void retire(managed);
      }
      for (const spec of specs) {
        if (!running.has(spec.name) && !replacing.has(spec.role))
          running.set(spec.name, manageProcess(spec, processDeps));
      }
      for (const role of new Set(specs.map((spec) => spec.role))) void replaceRole(role);
    },
    list: () =>
      [...running.values(), ...leaving].map((managed) => ({
        ...managed.status(),
        role: managed.spec.role,
        ...managed.ports(),
      })),
    async changed(signal) {
      if (signal.aborted) return;
      await once(events, "change", { signal }).catch(() => undefined);
    },
    async stop(first) {
      closed = true;
      const all = [...running.values()];
      const early = all.filter((managed) => first.includes(managed.spec.role));
      await Promise.all([...early.map(retire), ...[...leaving].map((managed) => managed.stop())]);
      await Promise.all([...running.values()].map(retire));
      events.emit("change");
    },
    async kill() {
      closed = true;
      await Promise.all([...running.values(), ...leaving].map((managed) => managed.kill()));
    },
  };
}
