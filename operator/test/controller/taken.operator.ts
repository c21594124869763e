import { eventually } from "@pricing-engine/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import {
  createEngine,
  engineBecomes,
  eventsOf,
  getObject,
  isReady,
  makePlace,
  makeSecrets,
  type Place,
} from "./setup.ts";

const { configMaps, serviceAccounts, services } = resourceTypes;

let place: Place;

beforeAll(async () => {
  place = await makePlace();
});

afterAll(() => place?.close());

it("what is somebody else's by a name of ours is left alone, and said, until it is gone", async () => {
  const { kube, namespace } = place;
  await makeSecrets(place);
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "shop", namespace } };
  await kube.create(serviceAccounts, account);
  const settings = { metadata: { name: "shop-settings", namespace }, data: { theirs: "1" } };
  await kube.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", ...settings });
  const spec = { selector: { app: "theirs" }, ports: [{ port: 9999 }] };
  await kube.create(services, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "shop-gateway", namespace },
    spec,
  });
  await place.startOperator();
  await createEngine(place, { gateway: {}, pricing: {} });

  const first = await engineBecomes(place, ({ condition }) => condition("SchemaReady")?.reason === "NameTaken");
  expect(first.condition("SchemaReady")?.message).toContain("there is a ServiceAccount shop that is not this engine's");
  await eventually(async () => expect(await eventsOf(place, "NotSchemaReady")).toMatchObject([{ type: "Warning" }]));
  expect((await getObject(place, serviceAccounts, "shop")).metadata.ownerReferences).toBeUndefined();

  await engineBecomes(place, ({ condition }) => condition("SettingsApplied")?.reason === "NameTaken");
  expect((await getObject(place, configMaps, "shop-settings")).data).toEqual({ theirs: "1" });

  await kube.delete(configMaps, "shop-settings", namespace);
  await kube.delete(serviceAccounts, "shop", namespace);
  const second = await engineBecomes(place, ({ condition }) => condition("WorkloadsAvailable")?.reason === "NameTaken");
  expect(second.condition("Ready")).toMatchObject({ status: "False" });
  const theirs = await getObject(place, services, "shop-gateway");
  expect(theirs.metadata.ownerReferences).toBeUndefined();
  expect(theirs.spec).toMatchObject({ selector: { app: "theirs" } });

  await kube.delete(services, "shop-gateway", namespace);
  await engineBecomes(place, isReady);
  expect((await getObject(place, services, "shop-gateway")).metadata.ownerReferences).toHaveLength(1);
});
