import { makeTestNamespace } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import type { KubeObject } from "../../src/kube/types.ts";
import { aConfigMap, aDeployment, makeTestKube, startKubeProxy } from "./setup.ts";

const { configMaps, deployments } = resourceTypes;
const kube = makeTestKube();
let namespace: string;

beforeAll(async () => {
  namespace = await makeTestNamespace();
});
afterAll(() => kube.close());

const imageOf = (object: KubeObject | undefined): unknown =>
  (object as unknown as { spec: { template: { spec: { containers: { image: string }[] } } } }).spec.template.spec
    .containers[0]?.image;
const replaceImage = (name: string, image: string) =>
  kube.mergePatch(deployments, name, namespace, {
    spec: { template: { spec: { containers: [{ name: "app", image }] } } },
  });

describe("apply", () => {
  it("makes what is not there, and changes nothing the second time", async () => {
    const first = await kube.apply(aDeployment(namespace, "same"));
    const second = await kube.apply(aDeployment(namespace, "same"));
    expect(second.metadata).toEqual(first.metadata);
  });

  it("takes away what we no longer want, and leaves what others added", async () => {
    await kube.apply(aConfigMap(namespace, "shared", { ours: "1", old: "1" }));
    await kube.mergePatch(configMaps, "shared", namespace, {
      data: { theirs: "1" },
      metadata: { labels: { theirs: "1" } },
    });
    // Written by us through another door: the merge patch has the same manager and is not an apply.
    const after = await kube.apply(aConfigMap(namespace, "shared", { ours: "2" }));
    expect(after.data).toEqual({ ours: "2", theirs: "1" });
    expect(after.metadata.labels).toEqual({ app: "test", theirs: "1" });
  });

  it("puts right what somebody edited, and makes again what somebody deleted", async () => {
    await kube.apply(aDeployment(namespace, "drift"));
    expect(imageOf(await replaceImage("drift", "example/evil:1"))).toBe("example/evil:1");
    expect(imageOf(await kube.apply(aDeployment(namespace, "drift")))).toBe("example/app:1");
    await kube.delete(deployments, "drift", namespace);
    const again = await kube.apply(aDeployment(namespace, "drift"));
    expect(again.metadata.uid).toBeDefined();
  });

  it("takes fields over from another manager, unless it is told not to", async () => {
    await using other = makeTestKube();
    await other.create(configMaps, aConfigMap(namespace, "owned", { key: "theirs" }));
    // `create` has our manager's name too, but not as an apply: server-side apply sees two owners.
    await expect(kube.apply(aConfigMap(namespace, "owned", { key: "ours" }), { force: false })).rejects.toMatchObject({
      status: 409,
      reason: "Conflict",
    });
    expect((await kube.apply(aConfigMap(namespace, "owned", { key: "ours" }))).data).toEqual({ key: "ours" });
    // From now on it is ours.
    await kube.apply(aConfigMap(namespace, "owned", { key: "ours again" }), { force: false });
  });

  it("refuses a namesake that was made since, when it names a uid", async () => {
    const first = await kube.apply(aConfigMap(namespace, "namesake"));
    await kube.delete(configMaps, "namesake", namespace);
    const wanted = aConfigMap(namespace, "namesake", { a: "1" });
    const old = { ...wanted, metadata: { ...wanted.metadata, uid: first.metadata.uid ?? "" } };
    await expect(kube.apply(old)).rejects.toMatchObject({ status: 409, reason: "Conflict" });
    await kube.apply(aConfigMap(namespace, "namesake"));
    await expect(kube.apply(old)).rejects.toMatchObject({ status: 422, message: expect.stringContaining("uid") });
  });

  it("may be repeated when its answer was lost", async () => {
    await using proxy = await startKubeProxy();
    await using through = makeTestKube({ url: proxy.url });
    proxy.inject({ kind: "lose-answer" }, () => true);
    await expect(through.apply(aConfigMap(namespace, "lost", { a: "1" }))).rejects.toMatchObject({
      reason: "Unreachable",
      retryable: true,
    });
    const done = await kube.find(configMaps, "lost", namespace);
    expect(done?.data).toEqual({ a: "1" });
    expect((await through.apply(aConfigMap(namespace, "lost", { a: "1" }))).metadata).toEqual(done?.metadata);
  });

  it("knows only the kinds that the operator has to do with", async () => {
    const object = { apiVersion: "v1", kind: "Node", metadata: { name: "node" } };
    await expect(kube.apply(object)).rejects.toThrow("no resource type is known for v1 Node");
  });
});

describe("applyStatus", () => {
  const withStatus = (name: string, status: Record<string, unknown>, spec?: unknown): KubeObject => ({
    apiVersion: deployments.apiVersion,
    kind: deployments.kind,
    metadata: { name, namespace },
    ...(spec === undefined ? {} : { spec }),
    status,
  });

  it("changes the status alone, and nothing the second time", async () => {
    const made = await kube.apply(aDeployment(namespace, "status"));
    const first = await kube.applyStatus(deployments, withStatus("status", { replicas: 2, readyReplicas: 1 }));
    expect(first.status).toMatchObject({ replicas: 2, readyReplicas: 1 });
    expect(first.metadata.generation).toBe(made.metadata.generation);
    const second = await kube.applyStatus(deployments, withStatus("status", { replicas: 2, readyReplicas: 1 }));
    expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    // And an apply of the object leaves it.
    expect((await kube.apply(aDeployment(namespace, "status"))).status).toMatchObject({ replicas: 2 });
  });

  it("is refused where the object is gone", async () => {
    await expect(kube.applyStatus(deployments, withStatus("gone", { replicas: 1 }))).rejects.toMatchObject({
      status: 404,
    });
  });
});
