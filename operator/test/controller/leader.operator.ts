import { setTimeout as delay } from "node:timers/promises";
import type { GuardedRedis } from "@pricing-engine/redis";
import { eventually, type HttpFaultProxy, type SeenRequest, type SpawnedService } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeInformer } from "../../src/kube/informer.ts";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import type { KubeObject, ResourceType } from "../../src/kube/types.ts";
import { quiet, startKubeProxy } from "../kube/setup.ts";
import {
  createEngine,
  engineBecomes,
  eventsOf,
  getObject,
  isReady,
  makePlace,
  makeSecrets,
  openRedis,
  type Place,
  parseSettings,
  patchEngine,
  repairedWithin,
  settingsInMap,
  settingsInRedis,
} from "./setup.ts";

const { configMaps, deployments, leases, pricingEngines } = resourceTypes;
let place: Place;
let redis: GuardedRedis;

interface Replica {
  readonly process: SpawnedService;
  readonly proxy: HttpFaultProxy;
}

/** An operator with a way to the API server of its own. */
async function startReplica(name: string): Promise<Replica> {
  const proxy = await startKubeProxy();
  place.defer(() => proxy.close());
  return { process: await place.startOperator({ url: proxy.url, env: { POD_NAME: name } }), proxy };
}

async function holder(): Promise<string | undefined> {
  const { spec } = await getObject(place, leases, "pricing-engine-operator");
  return (spec as { holderIdentity?: string }).holderIdentity?.split("_")[0];
}

/** The values that came one after another, as a watch saw them; the same again is not told. */
function follow(type: ResourceType, name: string, read: (object: KubeObject) => unknown): unknown[] {
  const values: unknown[] = [];
  const informer = makeInformer({
    kube: place.kube,
    type,
    namespace: place.namespace,
    logger: quiet,
    onChange(_uid, object) {
      const value = read(object);
      if (object.metadata.name === name && values.at(-1) !== value) values.push(value);
    },
  });
  place.defer(() => informer.close());
  return values;
}

const cpuOf = ({ spec }: KubeObject): string | undefined => {
  const { template } = spec as {
    template: { spec: { containers: readonly { resources: { requests: { cpu?: string } } }[] } };
  };
  return template.spec.containers[0]?.resources.requests.cpu;
};
/** A change for live settings and for Deployments, by a number. */
const change = (number: number) => ({
  spec: { pricing: { cacheTtl: `${number}s`, workers: { resources: { requests: { cpu: `${number}m` } } } } },
});
const hasSettings = async (name: string, number: number): Promise<void> => {
  const inMap = await settingsInMap(place, name);
  expect(parseSettings(inMap).settings.pricing.cacheTtlMs).toBe(number * 1000);
  expect(await settingsInRedis(place, redis, name)).toBe(inMap);
};

let one: Replica;
let two: Replica;

beforeAll(async () => {
  place = await makePlace();
  redis = openRedis(place);
  one = await startReplica("one");
  for (const name of ["left", "right"]) {
    await makeSecrets(place, name);
    await createEngine(place, { pricing: { workers: { min: 1, max: 3 } } }, name);
  }
  for (const name of ["left", "right"]) await engineBecomes(place, isReady, { name });
  two = await startReplica("two");
});
afterAll(() => place?.close());

const isWrite = ({ method, url }: SeenRequest): boolean =>
  method !== "GET" && !/\/(leases|events)\b/.test(url.pathname);

describe("two operators", () => {
  it("have one that leads, and one that watches and writes nothing", async () => {
    expect(await holder()).toBe("one");
    await patchEngine(place, change(61), "left");
    await eventually(() => hasSettings("left", 61));
    await engineBecomes(place, isReady, { name: "left" });
    expect(two.proxy.requests.some(({ url }) => url.searchParams.has("watch"))).toBe(true);
    expect(two.proxy.requests.filter(isWrite)).toEqual([]);
  });

  it("are one after the leader was killed, and that one acts within 20 s", async () => {
    const killedAt = performance.now();
    await one.process.kill("SIGKILL");
    await patchEngine(place, change(62), "left");
    await eventually(() => hasSettings("left", 62));
    const tookMs = performance.now() - killedAt;
    console.log(`leader killed: the standby acted after ${(tookMs / 1000).toFixed(1)} s`);
    expect(tookMs).toBeLessThan(20_000);
    expect(await holder()).toBe("two");
    for (const name of ["left", "right"]) await engineBecomes(place, isReady, { name });
  });
});

describe("a leader that is paused for longer than its lease", () => {
  it("harms nothing with what it had sent, and sends nothing more when it wakes", async () => {
    const three = await startReplica("three");
    const before = await two.proxy.requests.length;
    const released = Promise.withResolvers<void>();
    const held = (method: string, path: string): ((request: SeenRequest) => boolean) => {
      const match = (request: SeenRequest) => request.method === method && request.url.pathname.endsWith(path);
      two.proxy.inject({ kind: "hold", until: released.promise }, match, 10);
      return match;
    };
    // What comes of the next change, each on its way when the leader is paused.
    const lastWords = [
      held("PUT", "/configmaps/left-settings"),
      held("PATCH", "/deployments/right-pricing-worker"),
      held("PUT", "/deployments/right-pricing-worker/scale"),
      held("PATCH", "/pricingengines/right/status"),
    ];
    const { resourceVersion = "" } = (await place.kube.readScale("right-pricing-worker", place.namespace)) ?? {};
    await place.kube.writeScale("right-pricing-worker", place.namespace, { replicas: 3, resourceVersion });
    for (const name of ["left", "right"]) await patchEngine(place, change(63), name);
    await eventually(() =>
      lastWords.every((match) => two.proxy.requests.slice(before).some((request) => match(request))),
    );
    two.process.pause();

    const epochs = follow(configMaps, "left-settings", ({ data }) => {
      return parseSettings((data as { "settings.json": string })["settings.json"]).epoch;
    });
    const cpus = follow(deployments, "right-pricing-worker", cpuOf);
    const generations = follow(pricingEngines, "right", ({ status }) => {
      return (status as { observedGeneration?: number }).observedGeneration;
    });
    for (const name of ["left", "right"]) await patchEngine(place, change(64), name);
    for (const name of ["left", "right"]) await eventually(() => hasSettings(name, 64));
    expect(await holder()).toBe("three");
    const { object } = await engineBecomes(place, isReady, { name: "right" });
    expect(cpus.at(-1)).toBe("64m");

    released.resolve();
    // Both came, and were put right.
    const { generation = 0 } = object.metadata;
    await eventually(() => expect(cpus.slice(-3)).toEqual(["64m", "63m", "64m"]), repairedWithin);
    await eventually(() => expect(generations.slice(-3)).toEqual([generation, generation - 1, generation]));
    await eventually(async () => {
      const notes = (await eventsOf(place, "Repaired")).map(({ note }) => String(note));
      expect(notes.filter((note) => note.startsWith("Deployment right-pricing-worker"))).toHaveLength(1);
    });

    const wokenAt = performance.now();
    two.process.resume();
    const since = (): readonly SeenRequest[] => two.proxy.requests.filter(({ atMs }) => atMs > wokenAt);
    await eventually(() => since().filter(({ url }) => url.pathname.includes("/leases")).length >= 2);
    // A few passes.
    await delay(5_000);
    expect(
      since()
        .filter(isWrite)
        .map(({ method, url }) => `${method} ${url.pathname}`),
    ).toEqual([]);
    expect(await holder()).toBe("three");
    expect(three.process.output()).not.toContain('"not leading"');
    // Terms grow alone, and the last word is the leader's.
    expect(epochs).toEqual(epochs.toSorted((a, b) => Number(a) - Number(b)));
    for (const name of ["left", "right"]) await hasSettings(name, 64);
    // The new leader began with the number that it found. What the former one made of it came too late: over an older version.
    expect((await getObject(place, deployments, "right-pricing-worker")).spec).toMatchObject({ replicas: 3 });
    for (const name of ["left", "right"]) await engineBecomes(place, isReady, { name });
  });
});
