import { eventually, type HttpFaultProxy, makeTestNamespace, type RequestMatch } from "@pricing-engine/testkit";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Informer, type InformerOptions, makeInformer } from "../../src/kube/informer.ts";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import { aConfigMap, makeTestKube, quiet, startKubeProxy } from "./setup.ts";

const { configMaps } = resourceTypes;
/** Beside the proxy: what others do in the meantime. */
const kube = makeTestKube();
const closers: (() => Promise<void>)[] = [];
let namespace: string;
let proxy: HttpFaultProxy;
/** `added a`, in the order in which they were told. */
let told: string[];

const isWatch: RequestMatch = ({ url }) => url.searchParams.has("watch");
const isList: RequestMatch = (request) => !isWatch(request);
const watches = () => proxy.requests.filter(isWatch);
const lists = () => proxy.requests.filter(isList);
const versionOf = ({ url }: { url: URL }) => url.searchParams.get("resourceVersion");
const expired = { kind: "Status", apiVersion: "v1", code: 410, reason: "Expired", message: "too old" };

beforeEach(async () => {
  namespace = await makeTestNamespace();
  proxy = await startKubeProxy();
  closers.push(() => proxy.close());
  told = [];
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(() => kube.close());

async function anInformer(options: Partial<InformerOptions> = {}): Promise<Informer> {
  const through = makeTestKube({ url: proxy.url });
  const informer = makeInformer({
    kube: through,
    type: configMaps,
    namespace,
    labelSelector: "app=test",
    onChange: (_uid, object, change) => void told.push(`${change} ${object.metadata.name}`),
    logger: quiet,
    backoff: { initialMs: 50, maxMs: 1000 },
    ...options,
  });
  closers.push(() => through.close());
  closers.push(() => informer.close());
  await informer.synced();
  await watching();
  return informer;
}

const create = (name: string) => kube.create(configMaps, aConfigMap(namespace, name));
const edit = (name: string, value: string) => kube.mergePatch(configMaps, name, namespace, { data: { value } });
const remove = (name: string) => kube.delete(configMaps, name, namespace);
/** The watch is open, so that what is done to open streams hits it. */
const watching = () => eventually(() => proxy.streams(isWatch).length > 0);
const tells = (...changes: string[]) => eventually(() => expect(told).toEqual(changes));

describe("follows", () => {
  it("what is there, what comes, changes and goes", async () => {
    await create("a");
    const informer = await anInformer();
    expect(told).toEqual(["added a"]);
    await create("b");
    await edit("a", "1");
    await remove("a");
    await tells("added a", "added b", "modified a", "deleted a");
    expect(informer.list().map(({ metadata }) => metadata.name)).toEqual(["b"]);
    expect(lists()).toHaveLength(1);
    expect(watches()).toHaveLength(1);
  });

  it("two objects of one name as two, by their uids", async () => {
    const uids: string[] = [];
    const informer = await anInformer({ onChange: (uid, _object, change) => void uids.push(`${change} ${uid}`) });
    const first = await create("same");
    await remove("same");
    const second = await create("same");
    const [one = "", two = ""] = [first.metadata.uid, second.metadata.uid];
    await eventually(() => expect(uids).toEqual([`added ${one}`, `deleted ${one}`, `added ${two}`]));
    expect(informer.get(one)).toBeUndefined();
    expect(informer.get(two)?.metadata.name).toBe("same");
  });

  it("more than a page", async () => {
    for (const name of ["a", "b", "c", "d", "e"]) await create(name);
    const informer = await anInformer({ pageSize: 2 });
    expect(informer.list()).toHaveLength(5);
    expect(lists()).toHaveLength(3);
  });

  it("on when a callback throws", async () => {
    const seen: string[] = [];
    await anInformer({
      onChange: (_uid, { metadata }) => {
        seen.push(metadata.name);
        throw new Error("no");
      },
    });
    await create("a");
    await create("b");
    await eventually(() => expect(seen).toEqual(["a", "b"]));
    expect(watches()).toHaveLength(1);
  });

  it("nothing any more when it is closed", async () => {
    const informer = await anInformer();
    await informer.close();
    await eventually(() => proxy.streams(isWatch).length === 0);
    await create("a");
    expect(told).toEqual([]);
    expect(proxy.requests).toHaveLength(2);
  });
});

describe("goes on from the last version, without a list", () => {
  it.each([
    ["the server ends the watch", (p: HttpFaultProxy) => p.streams(isWatch)[0]?.end()],
    ["the connection is reset", (p: HttpFaultProxy) => p.streams(isWatch)[0]?.reset()],
    ["a line is no event", (p: HttpFaultProxy) => p.streams(isWatch)[0]?.write("<html>\n")],
    [
      "the server reports an error in the stream",
      (p: HttpFaultProxy) =>
        p.streams(isWatch)[0]?.write(`${JSON.stringify({ type: "ERROR", object: { code: 500 } })}\n`),
    ],
  ])("when %s", async (_name, fault) => {
    await anInformer();
    const a = await create("a");
    await tells("added a");
    fault(proxy);
    await create("b");
    await tells("added a", "added b");
    expect(lists()).toHaveLength(1);
    expect(versionOf(watches()[1] ?? { url: new URL("http://none") })).toBe(a.metadata.resourceVersion);
  });

  it("when a line breaks off in the middle, and tells what was in it once", async () => {
    await anInformer();
    proxy.streams(isWatch)[0]?.cutInChunk();
    await create("a");
    await tells("added a");
    await create("b");
    await tells("added a", "added b");
    expect(watches()).toHaveLength(2);
    expect(lists()).toHaveLength(1);
  });

  it("when it was silent for too long, with what happened meanwhile", async () => {
    const informer = await anInformer({ silenceMs: 1500 });
    proxy.streams(isWatch)[0]?.silence();
    await create("a");
    expect(told).toEqual([]);
    await tells("added a");
    expect(watches().length).toBeGreaterThanOrEqual(2);
    expect(lists()).toHaveLength(1);
    expect(informer.lastEventAgeMs()).toBeLessThan(1500);
  });

  it.each([
    ["refuses it", { kind: "answer", status: 500 }],
    ["resets it", { kind: "reset" }],
    ["forbids it", { kind: "answer", status: 403 }],
  ] as const)("when the server %s several times, with longer pauses", async (_name, fault) => {
    await anInformer();
    proxy.inject(fault, isWatch, 5);
    proxy.streams(isWatch)[0]?.reset();
    await create("a");
    await tells("added a");
    expect(lists()).toHaveLength(1);
    const times = watches().map(({ atMs }) => atMs);
    expect(times).toHaveLength(7);
    expect((times[6] ?? 0) - (times[1] ?? 0)).toBeGreaterThan(200);
  });

  it("when nothing could be reached for a while, without hammering", async () => {
    await anInformer();
    proxy.cut();
    await create("a");
    const before = watches().length;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    proxy.restore();
    await tells("added a");
    // Refused connections are no requests; those that came through are few.
    expect(watches().length - before).toBeLessThanOrEqual(2);
  });

  it("after as long as the server asks for", async () => {
    await anInformer();
    proxy.inject({ kind: "answer", status: 429, headers: { "retry-after": "2" } }, isWatch);
    proxy.streams(isWatch)[0]?.reset();
    await create("a");
    await tells("added a");
    const [, busy, next] = watches().map(({ atMs }) => atMs);
    expect((next ?? 0) - (busy ?? 0)).toBeGreaterThanOrEqual(2000);
  });
});

describe("lists again, and tells the differences alone", () => {
  /** What is done while nobody looks. */
  async function meanwhile(): Promise<void> {
    await remove("gone");
    await edit("changed", "1");
    await create("new");
  }

  beforeEach(async () => {
    for (const name of ["gone", "changed", "same"]) await create(name);
  });

  const differences = ["deleted gone", "modified changed", "added new"];

  it("when the server answers that its version has expired", async () => {
    await anInformer();
    told.length = 0;
    const [stream] = proxy.streams(isWatch);
    stream?.silence();
    await meanwhile();
    proxy.inject({ kind: "answer", status: 410, body: expired }, isWatch);
    stream?.reset();
    await eventually(() => expect(told.toSorted()).toEqual(differences.toSorted()));
    expect(told[0]).toBe("deleted gone");
    expect(lists()).toHaveLength(2);
    await watching();
    await edit("same", "1");
    await eventually(() => expect(told.at(-1)).toBe("modified same"));
  });

  it("when an open stream says that its version has expired", async () => {
    await anInformer();
    told.length = 0;
    const [stream] = proxy.streams(isWatch);
    stream?.silence();
    await meanwhile();
    stream?.write(`${JSON.stringify({ type: "ERROR", object: expired })}\n`);
    await eventually(() => expect(told.toSorted()).toEqual(differences.toSorted()));
    expect(lists()).toHaveLength(2);
  });

  it("when it had no luck for long: its version may be of another past", async () => {
    await anInformer();
    proxy.inject({ kind: "answer", status: 504 }, isWatch, 8);
    proxy.streams(isWatch)[0]?.reset();
    await eventually(() => expect(lists()).toHaveLength(2));
  });
});

describe("the first list", () => {
  it("is tried until it comes", async () => {
    await create("a");
    proxy.inject({ kind: "answer", status: 500 }, isList, 2);
    proxy.inject({ kind: "reset" }, isList, 1);
    await anInformer();
    expect(told).toEqual(["added a"]);
    expect(lists()).toHaveLength(4);
  });

  it("rejects who waits for it when the informer is closed first", async () => {
    proxy.silence();
    const through = makeTestKube({ url: proxy.url });
    const informer = makeInformer({ kube: through, type: configMaps, onChange: () => undefined, logger: quiet });
    const synced = informer.synced();
    await eventually(() => proxy.requests.length > 0);
    await informer.close();
    await expect(synced).rejects.toThrow("closed");
    await through.close();
  });
});

describe("the age of the last event", () => {
  it("grows while the server says nothing, and is small again after a bookmark", async () => {
    const informer = await anInformer();
    await eventually(() => informer.lastEventAgeMs() > 500);
    const object = { kind: "ConfigMap", apiVersion: "v1", metadata: { resourceVersion: "999999999" } };
    proxy.streams(isWatch)[0]?.write(`${JSON.stringify({ type: "BOOKMARK", object })}\n`);
    await eventually(() => informer.lastEventAgeMs() < 500);
    expect(told).toEqual([]);
    // It goes on from there.
    proxy.streams(isWatch)[0]?.reset();
    await eventually(() => expect(versionOf(watches()[1] ?? { url: new URL("http://none") })).toBe("999999999"));
  });

  it("is kept small by the real server's bookmarks", async () => {
    // It sends one shortly before it ends a watch, and else once a minute.
    proxy.inject({ kind: "rewrite", url: (url) => url.searchParams.set("timeoutSeconds", "4") }, isWatch, 100);
    await create("a");
    await anInformer();
    // Of no interest to this watch, so that only a bookmark can tell of it.
    const other = aConfigMap(namespace, "other");
    const { metadata } = await kube.create(configMaps, { ...other, metadata: { ...other.metadata, labels: {} } });
    await eventually(() => watches().some((watch) => Number(versionOf(watch)) >= Number(metadata.resourceVersion)));
    expect(told).toEqual(["added a"]);
    expect(lists()).toHaveLength(1);
  });
});
