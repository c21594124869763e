import { KubeConfig } from "@kubernetes/client-node";
import { kubeconfigOf } from "@pricing-engine/hack/envtest";
import { apiServer, makeTestNamespace } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeKube } from "../../src/kube/client.ts";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import { aConfigMap, aDeployment, makeTestKube, startKubeProxy } from "./setup.ts";

const { configMaps } = resourceTypes;
const kube = makeTestKube();
let namespace: string;

beforeAll(async () => {
  namespace = await makeTestNamespace();
});
afterAll(() => kube.close());

describe("plain calls", () => {
  it("make, find, change and delete an object", async () => {
    expect(await kube.find(configMaps, "plain", namespace)).toBeUndefined();
    const made = await kube.create(configMaps, aConfigMap(namespace, "plain", { a: "1" }));
    expect(made).toMatchObject({ apiVersion: "v1", kind: "ConfigMap", data: { a: "1" } });
    const patched = await kube.mergePatch(configMaps, "plain", namespace, { data: { a: null, b: "2" } });
    expect(patched.data).toEqual({ b: "2" });
    expect(await kube.find(configMaps, "plain", namespace)).toEqual(patched);
    await kube.delete(configMaps, "plain", namespace);
    await kube.delete(configMaps, "plain", namespace);
    expect(await kube.find(configMaps, "plain", namespace)).toBeUndefined();
  });

  it("tell apart the ways in which they are refused", async () => {
    const made = await kube.create(configMaps, aConfigMap(namespace, "refused"));
    await expect(kube.create(configMaps, aConfigMap(namespace, "refused"))).rejects.toMatchObject({
      status: 409,
      reason: "AlreadyExists",
      retryable: false,
    });
    await kube.replace(configMaps, { ...made, data: { a: "1" } });
    await expect(kube.replace(configMaps, { ...made, data: { a: "2" } })).rejects.toMatchObject({
      status: 409,
      reason: "Conflict",
    });
    await expect(kube.create(configMaps, aConfigMap(namespace, "Not_A_Name"))).rejects.toMatchObject({
      status: 422,
      reason: "Invalid",
      retryable: false,
    });
    await using nobody = makeTestKube({ user: "nobody" });
    await expect(nobody.find(configMaps, "refused", namespace)).rejects.toMatchObject({
      status: 403,
      reason: "Forbidden",
      retryable: false,
      message: expect.stringContaining('User "nobody" cannot get resource "configmaps"'),
    });
  });

  it("leave alone another object of the same name when the uid says so", async () => {
    const first = await kube.create(configMaps, aConfigMap(namespace, "namesake"));
    await kube.delete(configMaps, "namesake", namespace);
    const second = await kube.create(configMaps, aConfigMap(namespace, "namesake"));
    await kube.delete(configMaps, "namesake", namespace, { uid: first.metadata.uid ?? "" });
    expect((await kube.find(configMaps, "namesake", namespace))?.metadata.uid).toBe(second.metadata.uid);
    await kube.delete(configMaps, "namesake", namespace, { uid: second.metadata.uid ?? "" });
    expect(await kube.find(configMaps, "namesake", namespace)).toBeUndefined();
  });
});

describe("the scale of a Deployment", () => {
  it("is written over the version that was read and over no other", async () => {
    await kube.apply(aDeployment(namespace, "worker"));
    const read = await kube.readScale("worker", namespace);
    expect(read).toMatchObject({ replicas: 1 });
    const version = read?.resourceVersion ?? "";
    expect(await kube.writeScale("worker", namespace, { replicas: 3, resourceVersion: version })).toBe("written");
    // A leader of yesterday, still with what it read.
    expect(await kube.writeScale("worker", namespace, { replicas: 9, resourceVersion: version })).toBe("conflict");
    expect((await kube.readScale("worker", namespace))?.replicas).toBe(3);
    // What is applied without replicas leaves them alone.
    await kube.apply(aDeployment(namespace, "worker", "example/app:2"));
    expect((await kube.readScale("worker", namespace))?.replicas).toBe(3);
  });

  it("may be absent", async () => {
    expect(await kube.readScale("absent", namespace)).toBeUndefined();
    expect(await kube.writeScale("absent", namespace, { replicas: 1, resourceVersion: "1" })).toBe("absent");
  });
});

describe("an API server in trouble", () => {
  const any = () => true;

  it("is waited for as long as it asks, when it is busy", async () => {
    await using proxy = await startKubeProxy();
    await using through = makeTestKube({ url: proxy.url });
    proxy.inject({ kind: "answer", status: 429, headers: { "retry-after": "1" } }, any, 2);
    await through.create(configMaps, aConfigMap(namespace, "busy"));
    const [first, second, third] = proxy.requests.map(({ atMs }) => atMs);
    expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(1000);
    expect((third ?? 0) - (second ?? 0)).toBeGreaterThanOrEqual(1000);
    expect(await kube.find(configMaps, "busy", namespace)).toBeDefined();
  });

  it("is not waited for beyond the call's own time, and the caller learns when to come again", async () => {
    await using proxy = await startKubeProxy();
    await using through = makeTestKube({ url: proxy.url, requestTimeoutMs: 5000 });
    proxy.inject({ kind: "answer", status: 429, headers: { "retry-after": "60" } }, any);
    await expect(through.find(configMaps, "busy", namespace)).rejects.toMatchObject({
      status: 429,
      retryAfterMs: 60_000,
      retryable: true,
    });
    expect(proxy.requests).toHaveLength(1);
  });

  it.each([
    ["fails", { kind: "answer", status: 500 }, { status: 500, reason: "HTTP 500", retryable: true }],
    ["resets", { kind: "reset" }, { status: 0, reason: "Unreachable", retryable: true }],
    ["answers nonsense", { kind: "answer", status: 200, body: undefined }, { status: 0, reason: "Garbled" }],
  ] as const)("is an error that may pass, when it %s", async (_name, fault, error) => {
    await using proxy = await startKubeProxy();
    await using through = makeTestKube({ url: proxy.url });
    proxy.inject(fault, any);
    await expect(through.find(configMaps, "busy", namespace)).rejects.toMatchObject({ name: "KubeError", ...error });
  });

  it("is given up when it says nothing", async () => {
    await using proxy = await startKubeProxy();
    await using through = makeTestKube({ url: proxy.url, requestTimeoutMs: 300 });
    proxy.inject({ kind: "silence" }, any);
    await expect(through.find(configMaps, "busy", namespace)).rejects.toMatchObject({ status: 0, reason: "Timeout" });
  });

  it("is given up when the caller is", async () => {
    await using proxy = await startKubeProxy();
    await using through = makeTestKube({ url: proxy.url });
    proxy.inject({ kind: "silence" }, any);
    const giveUp = new AbortController();
    const answer = through.find(configMaps, "busy", namespace, { signal: giveUp.signal });
    giveUp.abort(new Error("enough"));
    await expect(answer).rejects.toThrow("enough");
  });

  it("is not connected with anew for each call", async () => {
    await using proxy = await startKubeProxy();
    await using through = makeTestKube({ url: proxy.url });
    for (let call = 0; call < 10; call++) await through.find(configMaps, "busy", namespace);
    // A second one when the first is not idle yet at the moment of the next call.
    expect(proxy.connectionsTaken()).toBeLessThanOrEqual(2);
  });
});

it("has its certificate checked", async () => {
  const config = new KubeConfig();
  const text = JSON.parse(kubeconfigOf(apiServer()));
  delete text.clusters[0].cluster["certificate-authority-data"];
  config.loadFromString(JSON.stringify(text));
  const stranger = makeKube({ config });
  await expect(stranger.find(configMaps, "busy", namespace)).rejects.toMatchObject({
    reason: "Unreachable",
    message: expect.stringContaining("self-signed certificate"),
  });
  await stranger.close();
});
