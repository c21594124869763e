import { apiServer, eventually, makeTestNamespace } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeInformer } from "../../src/kube/informer.ts";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import type { KubeObject, ResourceType } from "../../src/kube/types.ts";
import { aConfigMap, makeTestKube, quiet, startKubeProxy } from "./setup.ts";

const { configMaps } = resourceTypes;
const kube = makeTestKube();

afterAll(() => kube.close());

describe("a list of 1,200", () => {
  let many: string;

  beforeAll(async () => {
    many = await makeTestNamespace();
    const names = Array.from({ length: 1200 }, (_, index) => `item-${index}`);
    for (let from = 0; from < names.length; from += 50) {
      const some = names.slice(from, from + 50);
      await Promise.all(some.map((name) => kube.create(configMaps, aConfigMap(many, name))));
    }
  });

  it("comes whole, in pages, each object with its kind", async () => {
    await using proxy = await startKubeProxy();
    await using through = makeTestKube({ url: proxy.url });
    const { items, resourceVersion } = await through.list(configMaps, { namespace: many });
    expect(new Set(items.map(({ metadata }) => metadata.uid)).size).toBe(1200);
    expect(items.every(({ apiVersion, kind }) => apiVersion === "v1" && kind === "ConfigMap")).toBe(true);
    expect(resourceVersion).toMatch(/^\d+$/);
    expect(proxy.requests.map(({ url }) => url.searchParams.get("limit"))).toEqual(["500", "500", "500"]);
  });

  it("begins again when a page has expired, and does without pages when they always do", async () => {
    await using proxy = await startKubeProxy();
    await using through = makeTestKube({ url: proxy.url });
    const expired = { kind: "Status", apiVersion: "v1", code: 410, reason: "Expired", message: "too old" };
    const fault = { kind: "answer", status: 410, body: expired } as const;
    proxy.inject(fault, ({ url }) => url.searchParams.has("continue"), Number.POSITIVE_INFINITY);
    const { items } = await through.list(configMaps, { namespace: many });
    expect(items).toHaveLength(1200);
    expect(proxy.requests.map(({ url }) => url.searchParams.get("limit"))).toEqual(["500", "500", null]);
  });

  it("is narrowed by labels", async () => {
    await kube.mergePatch(configMaps, "item-7", many, { metadata: { labels: { app: "other" } } });
    const { items } = await kube.list(configMaps, { namespace: many, labelSelector: "app=other" });
    expect(items.map(({ metadata }) => metadata.name)).toEqual(["item-7"]);
  });
});

/** Of these our test server keeps nothing in memory, so that etcd's compaction shows at once. */
const podTemplates: ResourceType = { apiVersion: "v1", kind: "PodTemplate", plural: "podtemplates", namespaced: true };

describe("what etcd has forgotten", () => {
  let namespace: string;

  beforeAll(async () => {
    namespace = await makeTestNamespace();
  });

  const aTemplate = (name: string): KubeObject => ({
    apiVersion: podTemplates.apiVersion,
    kind: podTemplates.kind,
    metadata: { name, namespace },
    template: { spec: { containers: [{ name: "app", image: "example/app:1" }] } },
  });
  const create = (name: string) => kube.create(podTemplates, aTemplate(name));

  /** All before now. */
  async function compact(): Promise<void> {
    const { resourceVersion } = await kube.list(podTemplates, { namespace });
    const body = JSON.stringify({ revision: resourceVersion, physical: true });
    const { status } = await fetch(`${apiServer().etcdUrl}/v3/kv/compaction`, { method: "POST", body });
    if (status !== 200) throw new Error(`etcd did not compact: ${status}`);
  }

  it("cannot be continued in the middle of a list, which begins again", async () => {
    for (const name of ["a", "b", "c"]) await create(name);
    await using proxy = await startKubeProxy();
    await using through = makeTestKube({ url: proxy.url });
    const compacted = Promise.withResolvers<void>();
    proxy.inject({ kind: "hold", until: compacted.promise }, ({ url }) => url.searchParams.has("continue"));
    const listed = through.list(podTemplates, { namespace, pageSize: 1 });
    await eventually(() => proxy.requests.length === 2);
    await create("d");
    await compact();
    compacted.resolve();
    expect((await listed).items.map(({ metadata }) => metadata.name)).toEqual(["a", "b", "c", "d"]);
    expect(proxy.requests).toHaveLength(3);
  });

  it("is listed again by a watch that was away for too long", async () => {
    await using proxy = await startKubeProxy();
    await using through = makeTestKube({ url: proxy.url });
    const told: string[] = [];
    const informer = makeInformer({
      kube: through,
      type: podTemplates,
      namespace,
      onChange: (_uid, object, change) => void told.push(`${change} ${object.metadata.name}`),
      logger: quiet,
      backoff: { initialMs: 50, maxMs: 1000 },
    });
    await informer.synced();
    const known = told.splice(0).length;
    expect(known).toBeGreaterThan(0);
    const isWatch = ({ url }: { url: URL }) => url.searchParams.has("watch");
    await eventually(() => proxy.streams(isWatch).length > 0);
    proxy.cut();
    const gone = informer.list()[0]?.metadata.name ?? "";
    await kube.delete(podTemplates, gone, namespace);
    await create("new");
    await compact();
    proxy.restore();
    await eventually(() => expect(told).toEqual([`deleted ${gone}`, "added new"]));
    expect(proxy.requests.filter((request) => !isWatch(request))).toHaveLength(2);
    await informer.close();
  });
});
