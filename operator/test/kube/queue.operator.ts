import { eventually, makeTestNamespace, type SeenRequest } from "@pricing-engine/testkit";
import { afterAll, beforeEach, expect, it } from "vitest";
import { makeInformer } from "../../src/kube/informer.ts";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import { makeWorkQueue } from "../../src/kube/work-queue.ts";
import { aConfigMap, makeTestKube, quiet, startKubeProxy } from "./setup.ts";

const { configMaps, secrets } = resourceTypes;
const kube = makeTestKube();
let namespace: string;

beforeEach(async () => {
  namespace = await makeTestNamespace();
});
afterAll(() => kube.close());

/** A controller in small: each ConfigMap labelled `app=test` gets a Secret with the same content. */
function mirror(url: string) {
  // A call that a test holds does not give up while a busy machine makes the test's own.
  const through = makeTestKube({ url, requestTimeoutMs: 110_000 });
  const runs: string[] = [];
  const queue = makeWorkQueue<string>({
    name: "mirror",
    concurrency: 4,
    backoff: { initialMs: 20, maxMs: 500 },
    logger: quiet,
    async run(uid, signal) {
      runs.push(uid);
      const source = sources.get(uid);
      if (source === undefined) return undefined;
      const { name } = source.metadata;
      await through.apply(
        {
          apiVersion: secrets.apiVersion,
          kind: secrets.kind,
          metadata: {
            name,
            namespace,
            ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name, uid }],
          },
          stringData: source.data,
        },
        { signal },
      );
      return undefined;
    },
  });
  const options = { kube: through, namespace, logger: quiet, backoff: { initialMs: 20, maxMs: 500 } };
  const sources = makeInformer({
    ...options,
    type: configMaps,
    labelSelector: "app=test",
    onChange: (uid, _object, change) => (change === "deleted" ? queue.forget(uid) : queue.add(uid)),
  });
  // What somebody does to what is ours.
  const mirrors = makeInformer({
    ...options,
    type: secrets,
    onChange: (_uid, { metadata }) => {
      for (const owner of metadata.ownerReferences ?? [])
        if (sources.get(owner.uid) !== undefined) queue.add(owner.uid);
    },
  });
  return {
    queue,
    runs,
    sources,
    async close() {
      await Promise.all([sources.close(), mirrors.close()]);
      await queue.close();
      await through.close();
    },
  };
}

const read = async (name: string) => (await kube.find(secrets, name, namespace))?.data as Record<string, string>;
const base64 = (text: string) => Buffer.from(text).toString("base64");

it("settles on what is wanted while half of all calls fail", async () => {
  await using proxy = await startKubeProxy();
  const names = Array.from({ length: 20 }, (_, index) => `item-${index}`);
  for (const name of names) await kube.create(configMaps, aConfigMap(namespace, name, { value: "0" }));
  let calls = 0;
  const everyOther = () => calls++ % 2 === 0;
  for (const fault of [
    { kind: "answer", status: 500 },
    { kind: "reset" },
    { kind: "lose-answer" },
    { kind: "answer", status: 429, headers: { "retry-after": "0" } },
  ] as const) {
    proxy.inject(fault, everyOther, 10);
  }
  const controller = mirror(proxy.url);
  for (const value of ["1", "2", "3"]) {
    await Promise.all(names.map((name) => kube.mergePatch(configMaps, name, namespace, { data: { value } })));
  }
  await eventually(async () => {
    for (const name of names) expect(await read(name)).toEqual({ value: base64("3") });
  });
  // Nothing is left to do, nor remembered.
  await eventually(() => expect(controller.queue.size()).toBe(0));
  await controller.close();
});

it("runs a few times for many changes of one object", async () => {
  await using proxy = await startKubeProxy();
  const made = await kube.create(configMaps, aConfigMap(namespace, "busy", { value: "0" }));
  // The first run takes until all changes are made and seen.
  const seen = Promise.withResolvers<void>();
  const isWrite = ({ method }: SeenRequest) => method === "PATCH";
  proxy.inject({ kind: "hold", until: seen.promise }, isWrite, Number.POSITIVE_INFINITY);
  const controller = mirror(proxy.url);
  await eventually(() => proxy.requests.some(isWrite));
  for (let value = 1; value <= 100; value++) {
    await kube.mergePatch(configMaps, "busy", namespace, { data: { value: String(value) } });
  }
  await eventually(() => expect(controller.sources.get(made.metadata.uid ?? "")?.data).toEqual({ value: "100" }));
  seen.resolve();
  await eventually(async () => expect(await read("busy")).toEqual({ value: base64("100") }));
  await eventually(() => expect(controller.queue.size()).toBe(0));
  expect(new Set(controller.runs)).toEqual(new Set([made.metadata.uid]));
  // One for all changes after the first run, and one for each of the two writes that it saw of its own.
  expect(controller.runs.length).toBeLessThanOrEqual(4);
  await controller.close();
});

it("puts right what somebody edited or deleted, and then rests", async () => {
  await using proxy = await startKubeProxy();
  await kube.create(configMaps, aConfigMap(namespace, "drift", { value: "1" }));
  const controller = mirror(proxy.url);
  await eventually(async () => expect(await read("drift")).toEqual({ value: base64("1") }));
  await kube.mergePatch(secrets, "drift", namespace, { data: { value: base64("evil") } });
  await eventually(async () => expect(await read("drift")).toEqual({ value: base64("1") }));
  await kube.delete(secrets, "drift", namespace);
  await eventually(async () => expect(await read("drift")).toEqual({ value: base64("1") }));
  await eventually(() => expect(controller.queue.size()).toBe(0));
  const uid = (await kube.find(configMaps, "drift", namespace))?.metadata.uid;
  const runsOf = (of: string | undefined) => controller.runs.filter((run) => run === of).length;
  /** One more object, and its mirror, have been seen: so has all that was written before. */
  const catchUp = async (name: string): Promise<void> => {
    const { metadata } = await kube.create(configMaps, aConfigMap(namespace, name, { value: "1" }));
    await eventually(() => expect(runsOf(metadata.uid)).toBeGreaterThanOrEqual(2));
    await eventually(() => expect(controller.queue.size()).toBe(0));
  };
  await catchUp("next");
  const before = runsOf(uid);
  await catchUp("last");
  // What it wrote itself, and changed nothing, woke nobody.
  expect(runsOf(uid)).toBe(before);
  await controller.close();
});
