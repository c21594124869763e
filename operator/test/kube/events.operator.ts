import { makeApiCaller } from "@pricing-engine/hack/envtest";
import { apiServer, eventually, type HttpFaultProxy, makeTestNamespace } from "@pricing-engine/testkit";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { type EventRecorder, type EventRecorderOptions, makeEventRecorder } from "../../src/kube/events.ts";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import type { KubeObject } from "../../src/kube/types.ts";
import { aConfigMap, makeTestKube, quiet, startKubeProxy } from "./setup.ts";

const kube = makeTestKube();
const api = makeApiCaller(apiServer());
const closers: (() => Promise<void>)[] = [];
let namespace: string;
let proxy: HttpFaultProxy;
let object: KubeObject;

beforeEach(async () => {
  namespace = await makeTestNamespace();
  proxy = await startKubeProxy();
  closers.push(() => proxy.close());
  object = await kube.create(resourceTypes.configMaps, aConfigMap(namespace, "shop"));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(async () => {
  api.close();
  await kube.close();
});

function aRecorder({ user, ...options }: Partial<EventRecorderOptions> & { user?: string } = {}): EventRecorder {
  const through = makeTestKube({ url: proxy.url, ...(user === undefined ? {} : { user }) });
  const recorder = makeEventRecorder({
    kube: through,
    component: "pricing-engine.dev/operator",
    instance: "operator-0",
    logger: quiet,
    countEveryMs: 50,
    ...options,
  });
  closers.push(() => through.close());
  closers.push(() => recorder.close());
  return recorder;
}

/** The first that is written. */
async function written(): Promise<KubeObject> {
  return await eventually(async () => (await list())[0] ?? Promise.reject(new Error("no event yet")));
}

const list = async (): Promise<readonly KubeObject[]> => (await kube.list(resourceTypes.events, { namespace })).items;
const scaled = { type: "Normal", reason: "ScaledUp", note: "payment-worker from 1 to 4: 900 wait" } as const;

it("are what `kubectl describe` finds of the object, and shows", async () => {
  aRecorder().record(object, { ...scaled, action: "Scale" });
  const event = await written();
  expect(event).toMatchObject({
    ...scaled,
    action: "Scale",
    reportingController: "pricing-engine.dev/operator",
    reportingInstance: "operator-0",
    regarding: { kind: "ConfigMap", name: "shop", namespace, uid: object.metadata.uid },
  });
  // As kubectl asks: by the fields of the older of the two APIs for events.
  const selector = `involvedObject.name=shop,involvedObject.uid=${object.metadata.uid}`;
  const table = await api.table(`/api/v1/namespaces/${namespace}/events?fieldSelector=${encodeURIComponent(selector)}`);
  expect(table.columns.slice(1, 5)).toEqual(["Type", "Reason", "Object", "Subobject"]);
  expect(table.rows).toHaveLength(1);
  expect(table.rows[0]).toEqual(expect.arrayContaining(["Normal", "ScaledUp", "configmap/shop", scaled.note]));
});

it("count what repeats, in one event", async () => {
  const recorder = aRecorder();
  for (let time = 0; time < 5; time++) recorder.record(object, scaled);
  await eventually(async () => expect((await list())[0]?.series).toMatchObject({ count: 5 }));
  for (let time = 0; time < 7; time++) recorder.record(object, scaled);
  await eventually(async () => expect((await list())[0]?.series).toMatchObject({ count: 12 }));
  recorder.record(object, { ...scaled, note: "another one" });
  recorder.record(object, { ...scaled, type: "Warning" });
  await eventually(async () => expect(await list()).toHaveLength(3));
});

it("are written no more often than their count may be", async () => {
  const recorder = aRecorder({ countEveryMs: 60_000 });
  recorder.record(object, scaled);
  await eventually(async () => expect(await list()).toHaveLength(1));
  for (let time = 0; time < 1000; time++) recorder.record(object, scaled);
  await recorder.close();
  // The second one is the last count, on closing.
  expect(proxy.requests).toHaveLength(2);
  expect((await list())[0]?.series).toMatchObject({ count: 1001 });
});

it("begin anew when the API server has forgotten them", async () => {
  const recorder = aRecorder();
  recorder.record(object, scaled);
  const first = await written();
  await kube.delete(resourceTypes.events, first.metadata.name, namespace);
  recorder.record(object, scaled);
  await eventually(async () => expect((await list())[0]?.series).toMatchObject({ count: 2 }));
});

it("begin anew when they did not repeat for long", async () => {
  const recorder = aRecorder({ seriesMs: 0 });
  recorder.record(object, scaled);
  await eventually(async () => expect(await list()).toHaveLength(1));
  recorder.record(object, scaled);
  await eventually(async () => expect(await list()).toHaveLength(2));
});

it("are limited per object, so that one that flaps drowns no other", async () => {
  const other = await kube.create(resourceTypes.configMaps, aConfigMap(namespace, "other"));
  const recorder = aRecorder({ burst: 3, refillMs: 3_600_000 });
  for (let time = 0; time < 50; time++) recorder.record(object, { ...scaled, note: `flaps ${time}` });
  recorder.record(other, scaled);
  await recorder.close();
  const names = (await list()).map(({ regarding }) => (regarding as { name: string }).name);
  expect(names.toSorted()).toEqual(["other", "shop", "shop", "shop"]);
});

it("are cut to what the API server takes, in no middle of a character", async () => {
  aRecorder({ instance: "i".repeat(300) }).record(object, { ...scaled, note: "€".repeat(1000) });
  const event = await written();
  expect(event.note).toMatch(/^€{300,}…$/);
});

describe("when they cannot be written", () => {
  it("are written later, once, with their count", async () => {
    proxy.inject({ kind: "answer", status: 500 }, () => true, 2);
    proxy.inject({ kind: "reset" }, () => true, 1);
    const recorder = aRecorder();
    recorder.record(object, scaled);
    recorder.record(object, scaled);
    await eventually(async () => expect((await list())[0]?.series).toMatchObject({ count: 2 }));
    expect(await list()).toHaveLength(1);
  });

  it("are given up when it is forbidden, and nobody is told by an exception", async () => {
    const recorder = aRecorder({ user: "nobody" });
    recorder.record(object, scaled);
    await eventually(() => proxy.requests.length > 0);
    await recorder.close();
    expect(proxy.requests).toHaveLength(1);
    recorder.record(object, scaled);
  });

  it("are given up after some tries, and hold little memory meanwhile", async () => {
    proxy.inject({ kind: "answer", status: 500 }, () => true, Number.POSITIVE_INFINITY);
    const recorder = aRecorder({ maxSeries: 10, burst: 1000 });
    for (let time = 0; time < 500; time++) recorder.record(object, { ...scaled, note: `note ${time}` });
    expect(recorder.size()).toBe(10);
    await eventually(() => recorder.size() === 0, { timeoutMs: 60_000 });
  });

  it("keep nobody waiting for more than two seconds on closing", async () => {
    proxy.silence();
    const recorder = aRecorder();
    recorder.record(object, scaled);
    const before = performance.now();
    await recorder.close();
    expect(performance.now() - before).toBeLessThan(4000);
    expect(proxy.requests.length).toBeGreaterThan(0);
  });
});
