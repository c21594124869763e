import type { GuardedRedis } from "@pricing-engine/redis";
import { eventually } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import type { KubeObject, ResourceType } from "../../src/kube/types.ts";
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
  repairedWithin,
  seeEngine,
  settingsInMap,
  settingsInRedis,
} from "./setup.ts";

const { configMaps, deployments, horizontalPodAutoscalers, podDisruptionBudgets, services } = resourceTypes;
let place: Place;
let redis: GuardedRedis;

beforeAll(async () => {
  place = await makePlace();
  redis = openRedis(place);
  await makeSecrets(place);
  await place.startOperator();
  await createEngine(place, { pricing: { workers: { min: 1, max: 3 } } });
  await engineBecomes(place, isReady);
});
afterAll(() => place?.close());

const get = (type: ResourceType, name: string): Promise<KubeObject> => getObject(place, type, name);
const patch = (type: ResourceType, name: string, body: object) =>
  place.kube.mergePatch(type, name, place.namespace, body);
const repairsOf = async (what: string): Promise<number> =>
  (await eventsOf(place, "Repaired")).filter(({ note }) => String(note).startsWith(`${what} was not`)).length;

interface PodTemplate {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
  readonly spec: { readonly containers: readonly { readonly image: string }[] };
}
const templateOf = ({ spec }: KubeObject): PodTemplate => (spec as { template: PodTemplate }).template;
const imageOf = (object: KubeObject): string | undefined => templateOf(object).spec.containers[0]?.image;
const replicasOf = ({ spec }: KubeObject): number => (spec as { replicas: number }).replicas;

describe("an object that somebody edits", () => {
  it("is put right: the image of a Deployment", async () => {
    const before = imageOf(await get(deployments, "shop-pricing-worker"));
    const containers = [{ name: "pricing", image: "example/other:1" }];
    await place.kube.mergePatch(deployments, "shop-pricing-worker", place.namespace, {
      spec: { template: { spec: { containers } } },
    });
    await eventually(async () => imageOf(await get(deployments, "shop-pricing-worker")) === before, repairedWithin);
    await eventually(async () => (await repairsOf("Deployment shop-pricing-worker")) === 1);
  });

  it("is put right: the number of an api that no load moves", async () => {
    expect(replicasOf(await get(deployments, "shop-pricing-api"))).toBe(2);
    const { replicas, resourceVersion } = (await place.kube.readScale("shop-pricing-api", place.namespace)) ?? {};
    expect(replicas).toBe(2);
    const scale = { replicas: 5, resourceVersion: resourceVersion ?? "" };
    expect(await place.kube.writeScale("shop-pricing-api", place.namespace, scale)).toBe("written");
    await eventually(async () => replicasOf(await get(deployments, "shop-pricing-api")) === 2, repairedWithin);
    await eventually(async () => (await repairsOf("Deployment shop-pricing-api")) === 1);
  });

  it("is put right: a selector that a key was added to", async () => {
    await patch(services, "shop-pricing-api", { spec: { selector: { theirs: "1" } } });
    await eventually(async () => {
      const { selector } = (await get(services, "shop-pricing-api")).spec as { selector: object };
      return !("theirs" in selector);
    }, repairedWithin);
    await eventually(async () => (await repairsOf("Service shop-pricing-api")) === 1);
  });

  it("is put right: a budget of disruptions", async () => {
    await patch(podDisruptionBudgets, "shop-pricing-api", { spec: { maxUnavailable: 2 } });
    await eventually(async () => {
      const { maxUnavailable } = (await get(podDisruptionBudgets, "shop-pricing-api")).spec as {
        maxUnavailable: number;
      };
      return maxUnavailable === 1;
    }, repairedWithin);
    await eventually(async () => (await repairsOf("PodDisruptionBudget shop-pricing-api")) === 1);
  });
});

describe("an object that somebody deletes", () => {
  it.each([
    ["Deployment", deployments, "shop-pricing-worker"],
    ["Service", services, "shop-pricing-api"],
    ["PodDisruptionBudget", podDisruptionBudgets, "shop-pricing-worker"],
  ] as const)("is made again: a %s", async (kind, type, name) => {
    const before = await repairsOf(`${kind} ${name}`);
    const { uid } = (await get(type, name)).metadata;
    await place.kube.delete(type, name, place.namespace);
    await eventually(async () => (await get(type, name)).metadata.uid !== uid, repairedWithin);
    // The same words again are counted in the first one's series.
    if (before === 0) await eventually(async () => (await repairsOf(`${kind} ${name}`)) === 1);
    await engineBecomes(place, isReady);
  });
});

describe("live settings", () => {
  const name = "shop-settings";
  it.each([
    ["another value", (text: string) => text.replace('"cacheTtlMs":60000', '"cacheTtlMs":1')],
    ["a term of the far future", (text: string) => text.replace(/"epoch":\d+/, '"epoch":4000000')],
    ["what is no JSON", () => "{"],
  ])("are put right when their ConfigMap was edited to %s", async (_what, edit) => {
    const edited = edit(await settingsInMap(place));
    await patch(configMaps, name, { data: { "settings.json": edited } });
    await eventually(async () => {
      const text = await settingsInMap(place);
      expect(text).not.toBe(edited);
      // A pod that starts with the file goes on with what comes through Redis.
      expect(await settingsInRedis(place, redis)).toBe(text);
    }, repairedWithin);
    expect(parseSettings(await settingsInMap(place)).settings.pricing.cacheTtlMs).toBe(60_000);
    const { condition } = await seeEngine(place);
    expect(condition("SettingsApplied")).toMatchObject({ status: "True" });
  });

  it("are written again when their ConfigMap was deleted, and it was said", async () => {
    await place.kube.delete(configMaps, name, place.namespace);
    await eventually(async () => {
      expect(await settingsInRedis(place, redis)).toBe(await settingsInMap(place));
    }, repairedWithin);
    await eventually(async () => (await repairsOf(`ConfigMap ${name}`)) === 1);
  });

  it("are found by their label again when that was taken away", async () => {
    await patch(configMaps, name, { metadata: { labels: { "app.kubernetes.io/managed-by": null } } });
    await eventually(async () => {
      expect((await get(configMaps, name)).metadata.labels).toMatchObject({
        "app.kubernetes.io/managed-by": "pricing-engine-operator",
      });
    }, repairedWithin);
  });
});

describe("what is not ours", () => {
  it("is left alone: the annotation of `kubectl rollout restart`", async () => {
    const name = "shop-pricing-api";
    const said = async () =>
      (await eventsOf(place, "Repaired"))
        .filter(({ note }) => String(note).startsWith(`Deployment ${name}`))
        .map(({ series }) => series);
    const before = await said();
    const annotations = { "kubectl.kubernetes.io/restartedAt": new Date().toISOString() };
    await patch(deployments, name, { spec: { template: { metadata: { annotations } } } });
    const { generation } = (await get(deployments, name)).metadata;
    // A pass looks at it before it looks at this one.
    await patch(deployments, "shop-pricing-worker", {
      metadata: { labels: { "app.kubernetes.io/part-of": "theirs" } },
    });
    await eventually(async () => {
      const { labels } = (await get(deployments, "shop-pricing-worker")).metadata;
      return labels?.["app.kubernetes.io/part-of"] === "pricing-engine";
    }, repairedWithin);
    const after = await get(deployments, name);
    expect(templateOf(after).metadata.annotations).toMatchObject(annotations);
    expect(after.metadata.generation).toBe(generation);
    expect(await said()).toEqual(before);
  });

  it("is taken over: the number of workers, which is the scaling's, and no repair", async () => {
    const before = (await eventsOf(place, "Repaired")).length;
    const { resourceVersion = "" } = (await place.kube.readScale("shop-pricing-worker", place.namespace)) ?? {};
    await place.kube.writeScale("shop-pricing-worker", place.namespace, { replicas: 3, resourceVersion });
    await eventually(async () => replicasOf(await get(deployments, "shop-pricing-worker")) === 1, repairedWithin);
    expect((await eventsOf(place, "Repaired")).length).toBe(before);
  });

  it("is not fought: an autoscaler of somebody else's that aims at workers", async () => {
    const metadata = { name: "theirs", namespace: place.namespace };
    await place.kube.create(horizontalPodAutoscalers, {
      apiVersion: horizontalPodAutoscalers.apiVersion,
      kind: horizontalPodAutoscalers.kind,
      metadata,
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop-pricing-worker" },
        minReplicas: 2,
        maxReplicas: 4,
      },
    });
    const refused = await engineBecomes(place, ({ condition }) => condition("ScalingActive")?.reason === "Refused");
    expect(refused.condition("ScalingActive")).toMatchObject({
      status: "False",
      message: expect.stringContaining("HorizontalPodAutoscaler theirs scales shop-pricing-worker"),
    });
    // It works all the same.
    expect(refused.condition("Ready")).toMatchObject({ status: "True" });
    const { resourceVersion = "" } = (await place.kube.readScale("shop-pricing-worker", place.namespace)) ?? {};
    await place.kube.writeScale("shop-pricing-worker", place.namespace, { replicas: 2, resourceVersion });
    await engineBecomes(
      place,
      ({ status }) => status.workers?.find(({ role }) => role === "pricing-worker")?.ready === 2,
    );
    expect(replicasOf(await get(deployments, "shop-pricing-worker"))).toBe(2);

    await place.kube.delete(horizontalPodAutoscalers, "theirs", place.namespace);
    await engineBecomes(place, ({ condition }) => condition("ScalingActive")?.status === "True");
  });
});
