import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { eventually, type SpawnedService } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeBundles } from "../../../test/support/bundles.ts";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import { createEngine, isReady, makePlace, makeSecrets, type Place, seeEngine } from "./setup.ts";

const names = Array.from({ length: 50 }, (_, index) => `engine-${index + 1}`);
/** As the image and the chart set it. */
const imageEnv = { NODE_ENV: "production", MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "32768" };
let place: Place;
let operator: SpawnedService;
let processors: readonly object[];

beforeAll(async () => {
  place = await makePlace();
  processors = await startProcessors();
  const { operator: entry } = await makeBundles(["operator"]);
  operator = await place.startOperator({ entry, access: "service-account", env: { ...imageEnv, LOG_LEVEL: "warn" } });
});
afterAll(() => place?.close());

/** Of both kinds, for any number of engines: the simulated ones allow one question in 5 s. */
async function startProcessors(): Promise<readonly object[]> {
  const server = createServer((_request, answer) => {
    answer.setHeader("content-type", "application/json");
    answer.end(JSON.stringify({ failing: false, minResponseTime: 10 }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  place.defer(async () => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return ["default", "fallback"].map((name, index) => ({ name, url, fee: `0.${index}5` }));
}

interface Memory {
  readonly resident: number;
  readonly most: number;
  /** Without what is mapped of files, which all processes of one image share. */
  readonly anonymous: number;
}

/** Of the process, in MB as the bars are. */
function memory(): Memory {
  const status = readFileSync(`/proc/${operator.pid}/status`, "utf8");
  const read = (name: string): number =>
    Math.round((Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024) / 1e6);
  return { resident: read("VmRSS"), most: read("VmHWM"), anonymous: read("RssAnon") };
}

const describeMemory = (): string => {
  const { anonymous, most, resident } = memory();
  return `${resident} MB resident (${anonymous} of its own; most ${most})`;
};

/** Of the process, user and system, in seconds. Ticks are hundredths. */
function cpuSeconds(): number {
  const [, rest = ""] = readFileSync(`/proc/${operator.pid}/stat`, "utf8").split(") ");
  const [user = "", system = ""] = rest.split(" ").slice(11, 13);
  return (Number(user) + Number(system)) / 100;
}

/** A share of one core, of `seconds` in which nobody asks for anything. */
async function idleShare(seconds: number): Promise<number> {
  const before = cpuSeconds();
  await delay(seconds * 1000);
  return (cpuSeconds() - before) / seconds;
}

const spec = () => ({
  pricing: { workers: { min: 1, max: 3 } },
  payment: { processors, workers: { min: 1, max: 3 } },
});

async function becomeReady(some: readonly string[]): Promise<void> {
  await eventually(
    async () => {
      const { items } = await place.kube.list(resourceTypes.pricingEngines, { namespace: place.namespace });
      const ready = items.filter(({ status }) =>
        (status as { conditions?: { type: string; status: string }[] } | undefined)?.conditions?.some(
          (one) => one.type === "Ready" && one.status === "True",
        ),
      );
      expect(ready.length).toBe(some.length);
    },
    { timeoutMs: 150_000, intervalMs: 250 },
  );
  for (const name of some) expect(isReady(await seeEngine(place, name))).toBe(true);
}

/** By then it has given back what its start, or a burst, left behind: it does so every 30 s. */
const calmMs = 35_000;

/*
 * Memory is the process' own affair. How long it takes and how much it does idle hang on the machine, which an API server and all
 * that stands in for a cluster share: on two calm cores 23 s and 9 % of a core, and here only that they stay within reason.
 */
describe("the process of the image", () => {
  it("with one engine stays under 100 MB, and does next to nothing while nothing happens", async () => {
    const [name = ""] = names;
    await makeSecrets(place, name);
    await createEngine(place, spec(), name);
    await becomeReady([name]);
    await delay(calmMs);
    const share = await idleShare(10);
    console.log(`1 engine: ${describeMemory()}, ${(share * 100).toFixed(1)} % of a core idle`);
    expect(memory().resident).toBeLessThan(100);
    expect(share).toBeLessThan(0.05);
  });

  it("with 50 settles, stays under 150 MB, and is calm", async () => {
    const others = names.slice(1);
    for (const name of others) await makeSecrets(place, name);
    const cpuBefore = cpuSeconds();
    const startedAt = performance.now();
    for (const name of others) await createEngine(place, spec(), name);
    await becomeReady(names);
    const took = ((performance.now() - startedAt) / 1000).toFixed(1);
    const cpu = (cpuSeconds() - cpuBefore).toFixed(1);
    await delay(calmMs);
    const share = await idleShare(20);
    const idle = (share * 100).toFixed(1);
    console.log(`50 engines: settled in ${took} s (${cpu} s of CPU), ${describeMemory()}, ${idle} % of a core idle`);
    expect(memory().resident).toBeLessThan(150);
    expect(share).toBeLessThan(0.25);
  });
});
