import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { GuardedRedis } from "@pricing-engine/redis";
import { eventually, type HttpFaultProxy, type SeenRequest, spawnService } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import { startKubeProxy } from "../kube/setup.ts";
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
  type SeenEngine,
  type Spec,
  seeEngine,
  settingsInMap,
  settingsInRedis,
} from "./setup.ts";

const { configMaps, deployments, services } = resourceTypes;
let place: Place;
let redis: GuardedRedis;
let proxy: HttpFaultProxy;

beforeAll(async () => {
  place = await makePlace();
  redis = openRedis(place);
  proxy = await startKubeProxy();
  place.defer(() => proxy.close());
  await place.startOperator({ url: proxy.url });
});
afterAll(() => place?.close());

const pricing = (more: Spec = {}): Spec => ({ workers: { min: 1, max: 3 }, ...more });
const deploymentsOf = async (name: string) =>
  (await place.kube.list(deployments, { namespace: place.namespace })).items.filter(({ metadata }) =>
    metadata.name.startsWith(`${name}-`),
  );
const stateOf = ({ condition }: SeenEngine, ...types: string[]): object =>
  Object.fromEntries(types.map((type) => [type, `${condition(type)?.status} ${condition(type)?.reason}`]));

describe("a new engine", () => {
  it("takes its steps in their order, and says what each waits for", async () => {
    await makeSecrets(place);
    place.nodes.holdJobs();
    await createEngine(place, { pricing: pricing() });
    const waiting = await engineBecomes(place, ({ condition }) => condition("SchemaReady")?.reason === "MigrationRuns");
    await engineBecomes(place, ({ condition }) => condition("TopicsReady")?.status === "True");
    expect(stateOf(waiting, "PartitionsReady", "WorkloadsAvailable", "Ready", "Reconciling", "Stalled")).toEqual({
      PartitionsReady: "Unknown Pending",
      WorkloadsAvailable: "False Waiting",
      Ready: "False MigrationRuns",
      Reconciling: "True InProgress",
      Stalled: "False Progressing",
    });
    expect(waiting.condition("SchemaReady")?.message).toMatch(/^Job shop-pricing-migrate-\w+ (was made|runs)/);
    expect(waiting.condition("Ready")?.message).toContain("partitions are not made yet");
    expect(await deploymentsOf("shop")).toEqual([]);

    place.nodes.releaseJobs();
    const ready = await engineBecomes(place, isReady);
    expect(stateOf(ready, "Reconciling", "Stalled", "Paused", "ResourceValid")).toEqual({
      Reconciling: "False Settled",
      Stalled: "False Progressing",
      Paused: "False Running",
      ResourceValid: "True Accepted",
    });
    const times = ["SchemaReady", "PartitionsReady", "WorkloadsAvailable", "Ready"].map((type) =>
      Date.parse(ready.condition(type)?.lastTransitionTime ?? ""),
    );
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(ready.status.partitions).toMatchObject([{ table: "pricing.price_history", months: 4 }]);
    expect(ready.status.workers?.map(({ ready: count, role }) => [role, count])).toEqual([
      ["pricing-api", 2],
      ["pricing-worker", 1],
    ]);
    await eventually(async () => expect(await eventsOf(place, "Ready")).toHaveLength(1));
  });
});

describe("an engine that runs", () => {
  it("has a new policy in its ConfigMap and in Redis within 2 s, and no Deployment changes", async () => {
    const before = await deploymentsOf("shop");
    const startedAt = performance.now();
    await patchEngine(place, { spec: { pricing: { cacheTtl: "61s" } } });
    await eventually(async () => {
      const [inMap, inRedis] = [await settingsInMap(place), await settingsInRedis(place, redis)];
      expect(parseSettings(inMap).settings.pricing.cacheTtlMs).toBe(61_000);
      expect(inRedis).toBe(inMap);
    });
    const tookMs = performance.now() - startedAt;
    console.log(`a new policy: ${Math.round(tookMs)} ms to the ConfigMap and Redis`);
    expect(tookMs).toBeLessThan(2_000);
    await engineBecomes(place, isReady);
    const versions = (all: typeof before) => all.map(({ metadata }) => [metadata.name, metadata.generation]);
    expect(versions(await deploymentsOf("shop"))).toEqual(versions(before));
  });

  it("runs on with its last good resource when the newest is refused, and says why", async () => {
    // The API server cannot know the names of zones.
    const source = {
      name: "feed",
      url: "https://feed.example/list.xml",
      format: "plan-list-xml",
      timezone: "Mars/Base",
    };
    await patchEngine(place, { spec: { pricing: { cacheTtl: "62s" }, ingest: { sources: [source] } } });
    const stalled = await engineBecomes(place, ({ condition }) => condition("Stalled")?.status === "True");
    expect(stateOf(stalled, "Stalled", "ResourceValid", "Ready")).toEqual({
      Stalled: "True InvalidResource",
      ResourceValid: "False Refused",
      Ready: "True AllReady",
    });
    expect(stalled.condition("Stalled")?.message).toContain("spec.ingest.sources[0].timezone");
    expect(stalled.status.observedGeneration).toBe(stalled.object.metadata.generation);
    await eventually(async () => expect(await eventsOf(place, "Stalled")).toHaveLength(1));
    // It is still looked after.
    await place.kube.delete(services, "shop-pricing-api", place.namespace);
    await eventually(() => getObject(place, services, "shop-pricing-api"), repairedWithin);
    expect(parseSettings(await settingsInMap(place)).settings.pricing.cacheTtlMs).toBe(61_000);

    await patchEngine(place, { spec: { ingest: null } });
    await engineBecomes(place, (seen) => isReady(seen) && seen.condition("Stalled")?.status === "False");
    await eventually(async () => {
      expect(parseSettings(await settingsInMap(place)).settings.pricing.cacheTtlMs).toBe(62_000);
    });
  });

  it("is left alone while it is paused, and put right afterwards", async () => {
    await patchEngine(place, { metadata: { annotations: { "pricing-engine.dev/paused": "true" } } });
    await engineBecomes(place, ({ condition }) => condition("Paused")?.status === "True");
    const writesBefore = writes().length;
    const settings = await settingsInMap(place);
    await place.kube.delete(services, "shop-pricing-api", place.namespace);
    await patchEngine(place, { spec: { pricing: { cacheTtl: "63s" } } });
    await engineBecomes(place, ({ object, status }) => status.observedGeneration === object.metadata.generation);
    // So long as it would take to be put right.
    await delay(6_000);
    expect(writes().slice(writesBefore).filter(isStatus)).not.toEqual([]);
    expect(
      writes()
        .slice(writesBefore)
        .filter((write) => !isStatus(write)),
    ).toEqual([]);
    expect(await settingsInMap(place)).toBe(settings);

    await patchEngine(place, { metadata: { annotations: { "pricing-engine.dev/paused": null } } });
    await eventually(() => getObject(place, services, "shop-pricing-api"), repairedWithin);
    await eventually(async () => {
      expect(parseSettings(await settingsInMap(place)).settings.pricing.cacheTtlMs).toBe(63_000);
    });
    await engineBecomes(place, isReady);
  });
});

describe("an engine in which nothing changes", () => {
  it("costs the API server nothing: no write, and no read of what is watched", async () => {
    const entry = fileURLToPath(new URL("../../../test/simulators/processor/main.ts", import.meta.url));
    const [cheap, fallback] = await Promise.all([spawnService({ entry }), spawnService({ entry })]);
    place.defer(() => Promise.all([cheap.stop(), fallback.stop()]));
    await makeSecrets(place, "calm");
    const processors = [
      { name: "default", url: cheap.url, fee: "0.05" },
      { name: "fallback", url: fallback.url, fee: "0.15" },
    ];
    await createEngine(place, { pricing: pricing(), payment: { processors } }, "calm");
    await engineBecomes(place, (seen) => isReady(seen) && seen.condition("ProcessorsHealthy")?.status === "True", {
      name: "calm",
    });
    // Figures are written within ten seconds.
    const settledAt = performance.now();
    await delay(11_000);
    const { status: before } = await seeEngine(place, "calm");
    const seenAt = performance.now();
    const first = proxy.requests.length;
    const verdictBefore = await settingsInRedis(place, redis, "calm");
    const mapBefore = await getObject(place, configMaps, "calm-settings");
    await delay(15_000);
    const seen = proxy.requests.slice(first).filter((request) => !isLease(request));
    console.log(`after ${Math.round(seenAt - settledAt)} ms: ${seen.length} requests in 15 s`);
    expect(seen.filter(isWrite).map(describeRequest)).toEqual([]);
    expect(seen.map(describeRequest)).toEqual([]);
    expect((await seeEngine(place, "calm")).status).toEqual(before);
    // Meanwhile processors were asked, and whoever runs was told.
    expect(await settingsInRedis(place, redis, "calm")).not.toBe(verdictBefore);
    expect((await getObject(place, configMaps, "calm-settings")).metadata).toEqual(mapBefore.metadata);
  });
});

const isWrite = ({ method }: SeenRequest): boolean => method !== "GET";
const isLease = ({ url }: SeenRequest): boolean => url.pathname.includes("/leases");
const isStatus = ({ url }: SeenRequest): boolean => url.pathname.endsWith("/status");
const describeRequest = ({ method, url }: SeenRequest): string => `${method} ${url.pathname}${url.search}`;
/** Of the operator, beside its lease and Events. */
const writes = (): readonly SeenRequest[] =>
  proxy.requests.filter((one) => isWrite(one) && !isLease(one) && !one.url.pathname.includes("/events"));
