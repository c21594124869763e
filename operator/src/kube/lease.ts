import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@pricing-engine/chassis/log";
import { gauge } from "@pricing-engine/chassis/metrics";
import {
  decideLease,
  isLeader,
  type LeaseDecision,
  type LeaseDurations,
  type LeaseMemory,
  type LeaseSpec,
  type LeaseVersion,
  type LeaseView,
  ledSince,
  nextLookMs,
  noMemory,
  observeLease,
  releasedSpec,
} from "../core/lease.ts";
import type { Kube } from "./client.ts";
import { isAlreadyExists, isConflict } from "./kube-error.ts";
import { resourceTypes } from "./resource-types.ts";
import type { KubeObject } from "./types.ts";

export interface LeaseOptions {
  readonly kube: Pick<Kube, "find" | "create" | "replace">;
  readonly namespace: string;
  readonly name: string;
  /** Of this process and no other, also not of an earlier one in the same pod. */
  readonly identity: string;
  readonly durations?: Partial<LeaseDurations>;
  /** Both may only start or stop things: the lease is renewed meanwhile. */
  onAcquired(epoch: number): void;
  onLost(): void;
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
}

export interface Lease {
  /** By our own clock, at this very moment: false at once in a process that was paused for too long. */
  isLeader(): boolean;
  /** Of the last term; grows strictly with each take-over, whoever's it is. 0 before the first. */
  epoch(): number;
  /** Gives it up, so that another one need not wait. Stop what leads first. */
  close(): Promise<void>;
}

const leading = gauge({
  name: "leader_election_master_status",
  help: "Whether this process leads.",
  labels: ["name"],
});

export function makeLease(options: LeaseOptions): Lease {
  const { kube, namespace, name, identity, logger } = options;
  const durations: LeaseDurations = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2000, ...options.durations };
  const closing = new AbortController();
  let memory: LeaseMemory = noMemory;
  /** The Lease as our last write made it: a renewal need not read it first. */
  let known: LeaseView;
  let epoch = 0;
  let told = false;
  let expiry: NodeJS.Timeout | undefined;
  leading.set({ name }, 0);

  function tell(): void {
    const leads = !closing.signal.aborted && isLeader(memory, durations, performance.now());
    clearTimeout(expiry);
    if (leads && memory.term !== undefined) {
      epoch = memory.term.epoch;
      const leftMs = memory.term.renewedAtMs + durations.renewDeadlineMs - performance.now();
      expiry = setTimeout(tell, Math.max(1, leftMs));
    }
    if (leads === told) return;
    told = leads;
    leading.set({ name }, leads ? 1 : 0);
    logger.info({ lease: name, identity, epoch }, leads ? "leads" : "leads no more");
    try {
      if (leads) options.onAcquired(epoch);
      else options.onLost();
    } catch (error) {
      logger.error({ err: error, lease: name }, "a lease's callback failed");
    }
  }

  async function read(timeoutMs: number): Promise<LeaseView> {
    const call = { timeoutMs, signal: closing.signal };
    return viewOf(await kube.find(resourceTypes.leases, name, namespace, call));
  }

  async function write(spec: LeaseSpec, over: LeaseVersion | undefined, timeoutMs: number, signal?: AbortSignal) {
    const object: KubeObject = {
      apiVersion: resourceTypes.leases.apiVersion,
      kind: resourceTypes.leases.kind,
      // The uid too: a Lease is one of the kinds that a replace makes when it is gone, whatever its version.
      metadata: { name, namespace, ...(over === undefined ? {} : { uid: over.uid, resourceVersion: over.version }) },
      spec,
    };
    const call = { timeoutMs, signal };
    return viewOf(
      await (over === undefined
        ? kube.create(resourceTypes.leases, object, call)
        : kube.replace(resourceTypes.leases, object, call)),
    );
  }

  async function step(): Promise<LeaseDecision> {
    // Twice within the deadline, so that one call that hangs does not cost the term.
    const timeoutMs = durations.renewDeadlineMs / 2;
    const leads = isLeader(memory, durations, performance.now());
    const view = leads && known !== undefined ? known : await read(timeoutMs);
    memory = observeLease(memory, view, identity, performance.now());
    const moment = { nowMs: performance.now(), date: new Date() };
    const decision = decideLease(memory, view, { identity, durations }, moment);
    tell();
    if (decision.act === "wait") return decision;
    // Forgotten unless the answer comes: then only the API server knows whether it was written.
    known = undefined;
    const sentAtMs = performance.now();
    const written = await write(decision.spec, decision.over, timeoutMs, closing.signal);
    if (written !== undefined) memory = ledSince(written.version, decision.epoch, sentAtMs);
    known = written;
    tell();
    return decision;
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      let decision: LeaseDecision | undefined;
      try {
        decision = await step();
      } catch (error) {
        if (closing.signal.aborted) return;
        if (isConflict(error) || isAlreadyExists(error)) {
          // Somebody else wrote: look at once what it says now, but not in a tight loop.
          await sleep(Math.random() * 100, undefined, { signal: closing.signal }).catch(() => undefined);
          continue;
        }
        logger.warn({ err: error, lease: name }, told ? "the lease was not renewed" : "the lease was not read");
      }
      // A little later, each another little, so that candidates do not come at once.
      const waitMs = nextLookMs(decision, durations, performance.now()) + Math.random() * durations.retryMs * 0.05;
      await sleep(waitMs, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  }

  /** Also when no term of ours is known: a write whose answer never came may have been taken. */
  async function release(): Promise<void> {
    for (let attempt = 1; attempt <= 2; attempt++) {
      try {
        const view = viewOf(await kube.find(resourceTypes.leases, name, namespace, { timeoutMs: durations.retryMs }));
        if (view?.spec.holderIdentity !== identity) return;
        await write(releasedSpec(view.spec.leaseTransitions ?? epoch, new Date()), view, durations.retryMs);
        return;
      } catch (error) {
        // The last renewal was still on its way.
        if (isConflict(error) && attempt === 1) continue;
        logger.warn({ err: error, lease: name }, "the lease was not released: it ends by itself");
        return;
      }
    }
  }

  const running = run();
  return {
    isLeader: () => !closing.signal.aborted && isLeader(memory, durations, performance.now()),
    epoch: () => epoch,
    async close() {
      if (closing.signal.aborted) return await running;
      closing.abort();
      tell();
      await running;
      await release();
    },
  };
}

function viewOf(object: KubeObject | undefined): LeaseView {
  if (object === undefined) return undefined;
  const spec = (object.spec ?? {}) as LeaseSpec;
  const { uid = "", resourceVersion = "" } = object.metadata;
  return { uid, version: resourceVersion, spec };
}
