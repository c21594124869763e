import { makeLogger } from "@pricing-engine/chassis/log";
import { groupName, topicName, topics } from "@pricing-engine/contracts";
import { type KafkaAdmin, makeKafka, makeKafkaAdmin } from "@pricing-engine/kafka";
import type { GuardedRedis } from "@pricing-engine/redis";
import { eventually, infra, type SpawnedService, type TestDatabase } from "@pricing-engine/testkit";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resourceTypes } from "../../src/kube/resource-types.ts";
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
  patchEngine,
  type Spec,
  settingsInRedis,
} from "./setup.ts";

const { deployments, jobs, pods, pricingEngines, services } = resourceTypes;
const finalizer = "pricing-engine.dev/delete-data";
let place: Place;
let redis: GuardedRedis;
let admin: KafkaAdmin;
let operator: SpawnedService;

beforeAll(async () => {
  place = await makePlace();
  redis = openRedis(place);
  const logger = makeLogger({ name: "test", level: "fatal" });
  admin = makeKafkaAdmin({ kafka: makeKafka({ brokers: [infra().kafkaBrokers], clientId: "end-test", logger }) });
  place.defer(() => admin.close());
  operator = await place.startOperator();
});
afterAll(() => place?.close());

async function aRunningEngine(name: string, spec: Spec = {}): Promise<TestDatabase> {
  const database = await makeSecrets(place, name);
  await createEngine(place, { pricing: {}, ...spec }, name);
  await engineBecomes(place, isReady, { name });
  return database;
}

const deleteEngine = (name: string) => place.kube.delete(pricingEngines, name, place.namespace);
const isGone = async (name: string): Promise<boolean> =>
  (await place.kube.find(pricingEngines, name, place.namespace)) === undefined;
const finalizersOf = async (name: string): Promise<readonly string[]> =>
  (await getObject(place, pricingEngines, name)).metadata.finalizers ?? [];

/** What is left of an engine at its servers, and of its work in the cluster. */
async function leftOf(name: string, database: TestDatabase) {
  const prefix = `${place.namespace}.${name}.`;
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  const schemas = await sql<{ name: string }[]>`
    select nspname as name from pg_namespace where nspname in ('pricing', 'payment', 'operator') order by 1`.finally(
    () => sql.end(),
  );
  const ofEngine = async (type: typeof deployments) =>
    (await place.kube.list(type, { namespace: place.namespace, labelSelector: `app.kubernetes.io/instance=${name}` }))
      .items.length;
  return {
    topics: (await admin.listTopics()).filter((topic) => topic.startsWith(prefix)).length,
    schemas: schemas.map((schema) => schema.name),
    settings: (await settingsInRedis(place, redis, name)) !== null,
    deployments: await ofEngine(deployments),
    pods: await ofEngine(pods),
    jobs: await ofEngine(jobs),
  };
}
const nothing = { topics: 0, schemas: [], settings: false, deployments: 0, pods: 0, jobs: 0 };

describe("deletionPolicy: Retain", () => {
  it("has no finalizer, leaves what is at the servers, and nothing without an owner in the cluster", async () => {
    const database = await aRunningEngine("kept");
    expect(await finalizersOf("kept")).toEqual([]);
    const { uid = "" } = (await getObject(place, pricingEngines, "kept")).metadata;
    const before = await leftOf("kept", database);
    expect(before).toMatchObject({ schemas: ["operator", "payment", "pricing"], settings: true, deployments: 2 });
    expect(before.topics).toBeGreaterThan(4);
    await deleteEngine("kept");
    // The garbage collector's to do, which a real cluster has.
    expect(await isGone("kept")).toBe(true);
    for (const type of [deployments, jobs, services, resourceTypes.configMaps, resourceTypes.secrets]) {
      const { items } = await place.kube.list(type, {
        namespace: place.namespace,
        labelSelector: "app.kubernetes.io/instance=kept",
      });
      expect(items.length).toBeGreaterThan(0);
      for (const { metadata } of items) expect(metadata.ownerReferences).toMatchObject([{ uid, controller: true }]);
    }
    // The operator lets it go: no connection is left, and a namesake may come.
    await eventually(async () => {
      const sql = postgres(infra().postgresUrl, { max: 1 });
      const rows = await sql`select 1 from pg_stat_activity where datname = ${database.name}`.finally(() => sql.end());
      expect(rows).toEqual([]);
    });
    expect(await leftOf("kept", database)).toEqual(before);
  });
});

describe("deletionPolicy: Delete", () => {
  it("has a finalizer for as long as it is the policy", async () => {
    await aRunningEngine("wavering");
    await patchEngine(place, { spec: { deletionPolicy: "Delete" } }, "wavering");
    await eventually(async () => expect(await finalizersOf("wavering")).toEqual([finalizer]));
    await patchEngine(place, { spec: { deletionPolicy: "Retain" } }, "wavering");
    await eventually(async () => expect(await finalizersOf("wavering")).toEqual([]));
    await deleteEngine("wavering");
    expect(await isGone("wavering")).toBe(true);
  });

  it("deletes workloads, then topics, groups, tables and keys, and touches no neighbour", async () => {
    const neighbour = await aRunningEngine("shops");
    const before = await leftOf("shops", neighbour);
    const database = await aRunningEngine("shop", { deletionPolicy: "Delete" });
    expect(await finalizersOf("shop")).toEqual([finalizer]);
    expect((await leftOf("shop", database)).topics).toBeGreaterThan(4);
    await deleteEngine("shop");
    await eventually(() => isGone("shop"));
    expect(await leftOf("shop", database)).toEqual(nothing);
    const prefix = `${place.namespace}.shop.`;
    expect(await admin.listTopics()).not.toContain(topicName(prefix, topics.marketEvents));
    expect(await admin.listGroups()).not.toContain(groupName(prefix, "pricing-worker"));
    await eventually(async () => expect(await eventsOf(place, "DataDeleted")).toHaveLength(1));
    expect(await leftOf("shops", neighbour)).toEqual(before);
  });

  it("waits for nobody when its Secrets are gone, and says that the data stays", async () => {
    const database = await aRunningEngine("bereft", { deletionPolicy: "Delete" });
    await place.kube.delete(resourceTypes.secrets, "bereft-postgres", place.namespace);
    await deleteEngine("bereft");
    await eventually(() => isGone("bereft"));
    await eventually(async () => expect(await eventsOf(place, "DataKept")).toHaveLength(1));
    expect(await leftOf("bereft", database)).toMatchObject({
      deployments: 0,
      pods: 0,
      schemas: ["operator", "payment", "pricing"],
    });
  });

  it("is finished by the operator that comes next when there was none", async () => {
    const database = await aRunningEngine("orphan", { deletionPolicy: "Delete" });
    await operator.kill("SIGKILL");
    await deleteEngine("orphan");
    expect(await isGone("orphan")).toBe(false);
    await place.freeLease();
    operator = await place.startOperator();
    await eventually(() => isGone("orphan"));
    expect(await leftOf("orphan", database)).toEqual(nothing);
  });

  it("is finished after the operator was killed between topics and tables", async () => {
    const database = await aRunningEngine("halved", { deletionPolicy: "Delete" });
    const sql = postgres(database.url, { max: 1 });
    // Whoever asks whose the database is waits for this.
    const locked = sql.begin(async (transaction) => {
      await transaction`lock table operator.owner in access exclusive mode`;
      await deleteEngine("halved");
      await eventually(async () => expect((await leftOf("halved", database)).topics).toBe(0));
      await operator.kill("SIGKILL");
    });
    await locked.finally(() => sql.end());
    const halved = await leftOf("halved", database);
    expect(halved).toMatchObject({ topics: 0, schemas: ["operator", "payment", "pricing"], settings: true });
    expect(await isGone("halved")).toBe(false);
    await place.freeLease();
    operator = await place.startOperator();
    await eventually(() => isGone("halved"));
    expect(await leftOf("halved", database)).toEqual(nothing);
  });
});
