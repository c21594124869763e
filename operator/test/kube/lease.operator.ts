import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { kubeconfigOf } from "@pricing-engine/hack/envtest";
import { apiServer, eventually, makeTestNamespace } from "@pricing-engine/testkit";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LeaseSpec } from "../../src/core/lease.ts";
import { type Lease, type LeaseOptions, makeLease } from "../../src/kube/lease.ts";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import type { HolderMessage, HolderOptions } from "../fixtures/lease-holder.ts";
import { makeTestKube, quiet, startKubeProxy } from "./setup.ts";

const real = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2000 };
/** A lease's duration is in whole seconds. */
const short = { leaseMs: 3000, renewDeadlineMs: 2000, retryMs: 300 };
const kube = makeTestKube();
const closers: (() => Promise<void>)[] = [];
let namespace: string;

beforeEach(async () => {
  namespace = await makeTestNamespace();
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(() => kube.close());

interface Candidate {
  readonly identity: string;
  readonly lease: Lease;
  /** `acquired` and `lost`, each with when and in which term. */
  readonly log: { readonly what: "acquired" | "lost"; readonly epoch: number; readonly atMs: number }[];
}

function aCandidate(options: Partial<LeaseOptions> = {}): Candidate {
  const log: Candidate["log"] = [];
  const identity = `candidate-${randomUUID()}`;
  const lease = makeLease({
    kube,
    namespace,
    name: "operator",
    identity,
    durations: short,
    onAcquired: (epoch) => void log.push({ what: "acquired", epoch, atMs: performance.now() }),
    onLost: () => void log.push({ what: "lost", epoch: lease.epoch(), atMs: performance.now() }),
    logger: quiet,
    ...options,
  });
  closers.push(() => lease.close());
  return { identity, lease, log };
}

const leads = (candidate: Candidate, timeoutMs = 30_000) =>
  eventually(() => candidate.lease.isLeader(), { timeoutMs, intervalMs: 5 });
const readLease = async (): Promise<LeaseSpec> =>
  ((await kube.find(resourceTypes.leases, "operator", namespace))?.spec ?? {}) as LeaseSpec;

describe("a single candidate", () => {
  it("makes the lease, leads, and renews", async () => {
    const one = aCandidate();
    await leads(one);
    const made = await readLease();
    expect(made).toMatchObject({
      holderIdentity: one.identity,
      leaseDurationSeconds: 3,
      leaseTransitions: one.lease.epoch(),
    });
    await eventually(async () => (await readLease()).renewTime !== made.renewTime);
    const renewed = await readLease();
    expect(renewed).toMatchObject({ acquireTime: made.acquireTime, leaseTransitions: made.leaseTransitions });
    expect(one.log.map(({ what }) => what)).toEqual(["acquired"]);
  });

  it("begins a higher term when the lease was deleted by hand", async () => {
    const one = aCandidate();
    await leads(one);
    const before = one.lease.epoch();
    await kube.delete(resourceTypes.leases, "operator", namespace);
    await eventually(() => one.lease.isLeader() && one.lease.epoch() > before);
    expect(one.log.map(({ what }) => what)).toEqual(["acquired", "lost", "acquired"]);
  });

  it("leads on while single calls fail, in the same term", async () => {
    await using proxy = await startKubeProxy();
    await using through = makeTestKube({ url: proxy.url });
    // A call that hangs costs half of the deadline, so that a slow machine has the other half.
    const durations = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 300 };
    const one = aCandidate({ kube: through, durations });
    await leads(one);
    const epoch = one.lease.epoch();
    const isWrite = ({ method }: { method: string }) => method === "PUT";
    // Each of them costs one renewal; the deadline takes several.
    for (const fault of [
      { kind: "reset" },
      { kind: "answer", status: 500 },
      { kind: "lose-answer" },
      { kind: "answer", status: 429, headers: { "retry-after": "0" } },
      { kind: "answer", status: 409, body: { kind: "Status", reason: "Conflict" } },
      { kind: "silence" },
    ] as const) {
      const before = proxy.requests.filter(isWrite).length;
      proxy.inject(fault, isWrite);
      await eventually(() => proxy.requests.filter(isWrite).length >= before + 3);
    }
    expect(one.lease.isLeader()).toBe(true);
    expect(one.lease.epoch()).toBe(epoch);
    expect(one.log.map(({ what }) => what)).toEqual(["acquired"]);
  });
});

describe("two candidates", () => {
  it("have one leader, and the other takes over within about 2 s when it goes of its own will", async () => {
    const [one, two] = [aCandidate({ durations: real }), aCandidate({ durations: real })];
    await eventually(() => one.lease.isLeader() || two.lease.isLeader());
    const [leader, standby] = one.lease.isLeader() ? [one, two] : [two, one];
    // It has seen the leader's lease, and would wait for its end.
    await eventually(async () => (await readLease()).holderIdentity === leader.identity);
    expect(standby.lease.isLeader()).toBe(false);
    const releasedAtMs = performance.now();
    await leader.lease.close();
    expect(leader.log.map(({ what }) => what)).toEqual(["acquired", "lost"]);
    await leads(standby);
    expect(performance.now() - releasedAtMs).toBeLessThan(real.retryMs * 1.05 + 1000);
    expect(standby.lease.epoch()).toBe(leader.lease.epoch() + 1);
  });

  it("never lead at the same time when one is cut off: it knows before the other begins", async () => {
    await using proxy = await startKubeProxy();
    await using through = makeTestKube({ url: proxy.url });
    const one = aCandidate({ kube: through });
    await leads(one);
    const two = aCandidate();
    proxy.silence();
    const both = watchBoth(one, two);
    await leads(two);
    expect(one.lease.isLeader()).toBe(false);
    const lost = one.log.find(({ what }) => what === "lost");
    expect(lost?.atMs).toBeLessThan(two.log[0]?.atMs ?? 0);
    expect(two.lease.epoch()).toBe(one.lease.epoch() + 1);
    // Back again, it stands by.
    proxy.restore();
    await eventually(() => proxy.requests.some(({ method, atMs }) => method === "GET" && atMs > (lost?.atMs ?? 0)));
    expect(one.lease.isLeader()).toBe(false);
    expect(both()).toBe(0);
  });
});

/** How often both were seen to lead, looked at every millisecond. */
function watchBoth(one: Candidate, two: Candidate): () => number {
  let times = 0;
  const timer = setInterval(() => {
    if (one.lease.isLeader() && two.lease.isLeader()) times++;
  }, 1);
  return () => {
    clearInterval(timer);
    return times;
  };
}

describe("many candidates that come and go", () => {
  it("have one leader at a time, each in a higher term", async () => {
    const all: Candidate[] = [];
    let most = 0;
    const timer = setInterval(() => {
      most = Math.max(most, all.filter(({ lease }) => lease.isLeader()).length);
    }, 1);
    for (let round = 0; round < 8; round++) {
      all.push(aCandidate(), aCandidate());
      await eventually(() => all.some(({ lease }) => lease.isLeader()), { intervalMs: 5 });
      await all.find(({ lease }) => lease.isLeader())?.lease.close();
    }
    clearInterval(timer);
    const terms = all
      .flatMap(({ log }) => log)
      .filter(({ what }) => what === "acquired")
      .toSorted((a, b) => a.atMs - b.atMs)
      .map(({ epoch }) => epoch);
    expect(most).toBe(1);
    expect(terms.length).toBeGreaterThanOrEqual(8);
    expect(terms).toEqual([...new Set(terms)].toSorted((a, b) => a - b));
  });
});

interface Holder {
  readonly child: ChildProcess;
  readonly messages: HolderMessage[];
}

/** A leader in a process of its own. */
async function aHolder(durations: HolderOptions["durations"], url?: string): Promise<Holder> {
  const options: HolderOptions = {
    kubeconfig: kubeconfigOf(apiServer(), url === undefined ? {} : { url }),
    namespace,
    name: "operator",
    identity: `process-${randomUUID()}`,
    durations,
  };
  const child = fork(join(import.meta.dirname, "../fixtures/lease-holder.ts"), [JSON.stringify(options)], {
    execArgv: [],
  });
  closers.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  });
  const messages: HolderMessage[] = [];
  child.on("message", (message) => void messages.push(message as HolderMessage));
  await eventually(() => messages.some(({ kind }) => kind === "acquired"));
  return { child, messages };
}

describe("a leader in a process of its own", () => {
  it("is succeeded within 20 s of being killed", async () => {
    const { child, messages } = await aHolder(real);
    const standby = aCandidate({ durations: real });
    // It has looked, and again.
    await eventually(async () => (await readLease()).renewTime !== (await readLease()).acquireTime);
    const killedAtMs = performance.now();
    child.kill("SIGKILL");
    await leads(standby);
    expect(performance.now() - killedAtMs).toBeLessThan(20_000);
    expect(standby.lease.epoch()).toBe((messages[0]?.epoch ?? 0) + 1);
  });

  it("knows at once when it wakes from a pause that it leads no more, and that its term is over", async () => {
    const { child, messages } = await aHolder(short);
    const term = messages[0]?.epoch ?? 0;
    const standby = aCandidate();
    child.kill("SIGSTOP");
    await leads(standby);
    // The first thing that it does on waking.
    child.send("what do you believe?");
    child.kill("SIGCONT");
    const belief = await eventually(() => messages.find(({ kind }) => kind === "belief") ?? false);
    expect(belief).toEqual({ kind: "belief", leads: false, epoch: term });
    expect(standby.lease.epoch()).toBeGreaterThan(term);
    await eventually(() => expect(messages.some(({ kind }) => kind === "lost")).toBe(true));
    // What it still had to write is refused.
    const epoch = standby.lease.epoch();
    await eventually(async () => (await readLease()).renewTime !== (await readLease()).acquireTime);
    expect(await readLease()).toMatchObject({ holderIdentity: standby.identity, leaseTransitions: epoch });
  });

  it("leaves the lease free when it is asked to go", async () => {
    const { child, messages } = await aHolder(real);
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    expect(await readLease()).toMatchObject({ holderIdentity: "", leaseTransitions: messages[0]?.epoch });
  });
});
