import { assertNever } from "@pricing-engine/chassis/errors";
import fc from "fast-check";
import { expect, it } from "vitest";
import { contextKey } from "./context-key.ts";
import { makePriceCacheOn, type PriceCache } from "./make-price-cache.ts";
import { makeMemoryPort } from "./memory-port.ts";
import type { CachePort } from "./port.ts";
import { encodeNumber, markerTtlMs, settleMs } from "./protocol.ts";
import { readThrough } from "./read-through.ts";

/*
 * Postgres is two counters; a publish leaves its marker through a relay that may come late. Redis may be emptied at any
 * moment, lose single keys, or restart from a snapshot (then every process sees its connection break). It may be out of reach
 * of all, who then find it again one after the other, within the time that a reconnection takes. Readers of two processes look
 * up, compute and fill, each step whenever the scheduler says so.
 *
 * Held: an answer is never older than one that was complete before its request began. One that could not be left in Redis
 * because a single command failed, or Redis was emptied in that moment, is known to its own process alone: it owes the marker,
 * and its own readers are held to it. While Redis is out of reach of all, everybody's readers are held to what anybody showed.
 */
const context = { product_id: "p" };
type Version = { policyVersion: number; sequence: number };
const isOlder = (a: Version, b: Version): boolean => a.policyVersion < b.policyVersion || a.sequence < b.sequence;

/** How often each process tries to connect until it finds Redis again. */
const attempts = fc.integer({ min: 1, max: 40 });
const fault = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ kind: "publish" as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: "policy" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "empty" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "forget marker" as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: "forget entry" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "snapshot" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "rewind" as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("outage" as const), attempts: fc.tuple(attempts, attempts) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("fail" as const), process: fc.nat({ max: 1 }) }) },
);
/** An outage in the midst of publications: what is rare among all the others. */
const outageAmongPublications = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constant({ kind: "publish" as const }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("outage" as const), attempts: fc.tuple(attempts, attempts) }),
    },
  ),
  { minLength: 4, maxLength: 12 },
);
// Clients that ask again and again: what the second answer may be depends on the first one.
const clients = fc.array(fc.record({ process: fc.nat({ max: 1 }), reads: fc.integer({ min: 1, max: 5 }) }), {
  minLength: 2,
  maxLength: 4,
});

const manyReads = fc.integer({ min: 5, max: 10 });
const oneClientEach = fc.tuple(
  fc.record({ process: fc.constant(0), reads: manyReads }),
  fc.record({ process: fc.constant(1), reads: manyReads }),
);

it.each([
  ["whatever happens", clients, fc.array(fault, { maxLength: 8 })],
  ["when one after the other finds Redis again", oneClientEach, outageAmongPublications],
])(
  "never answers with less than what was answered before, %s",
  { timeout: 170_000 },
  async (_case, callers, strikes) => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), callers, strikes, async (scheduler, readers, faults) => {
        let clockMs = 0;
        const memory = makeMemoryPort({ now: () => clockMs });
        let snapshot = memory.snapshot();
        const truth: Version = { policyVersion: 1, sequence: 1 };
        let generations = 0;
        const makeGeneration = (): string => (generations++).toString(16).padStart(16, "0");
        const processes = [0, 1].map(() => {
          const listeners: (() => void)[] = [];
          const link = makeLink();
          const port = scheduled(memory, scheduler, link);
          const cache = makePriceCacheOn({
            port: { ...port, replaceGeneration: (generation) => port.replaceGeneration(generation).then(settle(link)) },
            onReconnect: (listener) => listeners.push(listener),
            makeGeneration,
            now: () => clockMs,
          });
          return { cache, link, reconnect: () => listeners.forEach((listener) => void listener()) };
        });
        const relay = scheduled(memory, scheduler, makeLink());
        /** Reconnections take less time than a process that is back gives the others. */
        function settle(link: Link): () => void {
          return () => {
            link.isBack = true;
            const outages = processes.map((one) => one.link.outages);
            const isOver = () =>
              processes.every((one, index) => one.link.isBack && one.link.outages === outages[index]);
            if (!isOver()) return;
            const passing = scheduler.schedule(Promise.resolve(), "settled").then(() => {
              if (isOver()) clockMs += settleMs;
            });
            pending.push(passing);
          };
        }
        /** The newest answers that were complete: of each process, and of any that left what it answered in Redis. */
        const shown = processes.map((): Version => ({ policyVersion: 0, sequence: 0 }));
        const shownToAll: Version = { policyVersion: 0, sequence: 0 };
        const pending: Promise<void>[] = [];

        const read = async (index: number): Promise<void> => {
          const mine = processes[index];
          if (mine === undefined) throw new Error("there are two processes");
          const known = shown[index];
          if (known === undefined) throw new Error("each process has shown something");
          const floor = [{ ...known }, { ...shownToAll }];
          let owed = false;
          let outages = 0;
          const watched: PriceCache = {
            ...mine.cache,
            async fill(...request) {
              outages = mine.link.outages;
              const filled = await mine.cache.fill(...request);
              owed = filled.outcome === "away" && !mine.link.isCut && outages === mine.link.outages;
              return filled;
            },
          };
          const answer = await readThrough(watched, context, async () => {
            await scheduler.schedule(Promise.resolve(), "postgres");
            const facts = { ...truth };
            return { value: facts, cacheable: { facts, body: Buffer.from(JSON.stringify(facts)), ttlMs: 600_000 } };
          });
          const version: Version = answer.source === "cache" ? JSON.parse(answer.body.toString()) : answer.value;
          for (const earlier of floor)
            expect(isOlder(version, earlier), JSON.stringify({ version, earlier })).toBe(false);
          for (const newest of owed ? [known] : [known, shownToAll]) {
            newest.policyVersion = Math.max(newest.policyVersion, version.policyVersion);
            newest.sequence = Math.max(newest.sequence, version.sequence);
          }
        };

        const readAll = async (reader: { process: number; reads: number }): Promise<void> => {
          for (let count = 0; count < reader.reads; count += 1) {
            await scheduler.schedule(Promise.resolve(), "client");
            await read(reader.process);
          }
        };
        const connectAgain = async (link: Link, attempts: number, reconnect: () => void): Promise<void> => {
          const { outages } = link;
          for (let attempt = 1; attempt <= attempts; attempt += 1) {
            await scheduler.schedule(Promise.resolve(), "connecting");
            if (outages !== link.outages) return;
          }
          link.isCut = false;
          reconnect();
        };
        const strike = async (): Promise<void> => {
          for (const step of faults) {
            await scheduler.schedule(Promise.resolve(), step.kind);
            switch (step.kind) {
              case "publish": {
                truth.sequence += 1;
                const mark = { productId: "p", sequence: encodeNumber(truth.sequence) };
                pending.push(relay.raiseMarkers([mark], markerTtlMs));
                break;
              }
              case "policy":
                truth.policyVersion += 1;
                pending.push(relay.raisePolicyVersion(encodeNumber(truth.policyVersion), makeGeneration()));
                break;
              case "empty":
                memory.empty();
                break;
              case "forget marker":
                memory.forget("marker:p");
                break;
              case "forget entry":
                memory.forget(`entry:${contextKey(context)}`);
                break;
              case "snapshot":
                snapshot = memory.snapshot();
                break;
              case "rewind":
                memory.rewind(snapshot);
                for (const { reconnect } of processes) reconnect();
                break;
              case "outage":
                for (const [index, { link, reconnect }] of processes.entries()) {
                  link.isCut = true;
                  link.isBack = false;
                  link.outages += 1;
                  pending.push(connectAgain(link, step.attempts[index] ?? 1, reconnect));
                }
                break;
              case "fail": {
                const failing = processes[step.process];
                if (failing !== undefined) failing.link.failuresLeft = 2;
                break;
              }
              default:
                assertNever(step);
            }
          }
        };
        await scheduler.waitFor(Promise.all([...readers.map(readAll), strike()]));
        await scheduler.waitFor(Promise.all(pending));
      }),
      {
        numRuns: Number(process.env.SIM_RUNS ?? 3_000),
        ...(process.env.SIM_SEED ? { seed: Number(process.env.SIM_SEED) } : {}),
      },
    );
  },
);

type Link = { failuresLeft: number; isCut: boolean; isBack: boolean; outages: number };

function makeLink(): Link {
  return { failuresLeft: 0, isCut: false, isBack: true, outages: 0 };
}

/** Each step happens when the scheduler says so; it fails without effect while failures are left, and its answer is lost in an outage. */
function scheduled(port: CachePort, scheduler: fc.Scheduler, link: Link): CachePort {
  const at = async <Result>(name: string, work: () => Promise<Result>): Promise<Result> => {
    await scheduler.schedule(Promise.resolve(), name);
    if (link.isCut) throw new Error("Redis is out of reach");
    if (link.failuresLeft > 0) {
      link.failuresLeft -= 1;
      throw new Error("Redis does not answer");
    }
    const { outages } = link;
    const result = await work();
    // The answer takes its time as well.
    await scheduler.schedule(Promise.resolve(), `${name} answered`);
    if (link.outages !== outages) throw new Error("the connection was lost");
    return result;
  };
  return {
    read: (product, key) => at("read", () => port.read(product, key)),
    fill: (request) => at("fill", () => port.fill(request)),
    raiseMarkers: (marks, ttlMs) => at("raise markers", () => port.raiseMarkers(marks, ttlMs)),
    ensureKnown: (wanted) => at("ensure known", () => port.ensureKnown(wanted)),
    replaceGeneration: (generation) => at("replace generation", () => port.replaceGeneration(generation)),
    raisePolicyVersion: (version, generation) => at("raise policy", () => port.raisePolicyVersion(version, generation)),
  };
}
