import { randomUUID } from "node:crypto";
import type { GuardedRedis } from "@pricing-engine/redis";
import { eventually, type TestDatabase } from "@pricing-engine/testkit";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { apiVersion, kind } from "../../src/api/resource.ts";
import { podHashAnnotation } from "../../src/core/objects/manifest.ts";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import {
  applySecret,
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
} from "./setup.ts";

const { deployments, secrets } = resourceTypes;
let place: Place;
let redis: GuardedRedis;

beforeAll(async () => {
  place = await makePlace();
  redis = openRedis(place);
  await place.startOperator();
});
afterAll(() => place?.close());

/** Whose the database is, by the row that the operator leaves there. */
async function ownerOf({ url }: TestDatabase): Promise<string | undefined> {
  const sql = postgres(url, { max: 1 });
  try {
    const [row] = await sql<{ engine: string }[]>`select engine from operator.owner`;
    return row?.engine;
  } finally {
    await sql.end();
  }
}
/** The operator's connections to Redis for the engine. */
async function redisConnectionsOf(name: string): Promise<readonly string[]> {
  const all = String(await redis.guarded((client) => client.client("LIST"))).split("\n");
  const own = all.filter((line) => line.includes(` name=${place.namespace}.${name}.operator `));
  return own.map((line) => line.split(" ")[0] ?? "");
}
const podHash = async (name: string): Promise<string | undefined> => {
  const { spec } = await getObject(place, deployments, name);
  const { template } = spec as { template: { metadata: { annotations: Readonly<Record<string, string>> } } };
  return template.metadata.annotations[podHashAnnotation];
};
/** It reads them again every minute, and when the resource was touched. */
const touch = (name: string) =>
  patchEngine(place, { metadata: { annotations: { touched: new Date().toISOString() } } }, name);

describe("an engine whose Secrets are not all there", () => {
  it("says which, key by key, and goes on by itself as they come", async () => {
    await createEngine(place, { pricing: {} }, "early");
    const becomes = (message: string) =>
      engineBecomes(place, ({ condition }) => condition("TopicsReady")?.message === message, { name: "early" });
    const nothing = await becomes("Secret early-postgres is missing; Secret redis is missing");
    expect(nothing.condition("Ready")).toMatchObject({ status: "False", reason: "SecretsMissing" });
    // They may come: that is no dead end.
    expect(nothing.condition("Stalled")).toMatchObject({ status: "False" });
    expect(nothing.condition("Reconciling")).toMatchObject({ status: "True" });

    await applySecret(place, "early-postgres", { wrong: "x" });
    await applySecret(place, "redis", { url: "http://redis" });
    await becomes("Secret early-postgres has no url; Secret redis: url is no redis:// URL");
    await makeSecrets(place, "early");
    await engineBecomes(place, isReady, { name: "early" });
  });
});

describe("an engine of a name that another one had", () => {
  it("waits until the former one's own Secrets are gone, and makes its own", async () => {
    await makeSecrets(place, "again");
    const former = { ...{ apiVersion, kind }, name: "again", uid: randomUUID(), controller: true };
    const metadata = { name: "again-signing", namespace: place.namespace, ownerReferences: [former] };
    const stringData = { "keys.json": '{"keys":[]}' };
    await place.kube.create(secrets, { apiVersion: "v1", kind: "Secret", metadata, stringData });
    const { metadata: engine } = await createEngine(place, { pricing: {} }, "again");
    const waits = await engineBecomes(place, ({ condition }) => condition("Ready")?.reason === "SecretsMissing", {
      name: "again",
    });
    expect(waits.condition("Ready")?.message).toContain("Secret again-signing is of a former engine");
    expect(await place.kube.find(deployments, "again-pricing-api", place.namespace)).toBeUndefined();

    // What a cluster does by itself.
    await place.kube.delete(secrets, "again-signing", place.namespace);
    await engineBecomes(place, isReady, { name: "again" });
    const { metadata: own } = await getObject(place, secrets, "again-signing");
    expect(own.ownerReferences).toMatchObject([{ uid: engine.uid }]);
  });
});

describe("an engine that runs", () => {
  it("is connected anew, and its pods with it, when a Secret is another one", async () => {
    const first = await makeSecrets(place, "moved");
    await createEngine(place, { pricing: {} }, "moved");
    await engineBecomes(place, isReady, { name: "moved" });
    expect(await ownerOf(first)).toBe(`${place.namespace}/moved`);
    const before = await podHash("moved-pricing-worker");
    const connections = await redisConnectionsOf("moved");
    expect(connections).toHaveLength(1);

    const second = await makeSecrets(place, "moved");
    // Without being touched: within the minute.
    await eventually(async () => expect(await ownerOf(second)).toBe(`${place.namespace}/moved`), { timeoutMs: 75_000 });
    await eventually(async () => (await podHash("moved-pricing-worker")) !== before);
    const ready = await engineBecomes(place, isReady, { name: "moved" });
    expect(ready.status.partitions).toMatchObject([{ months: 4 }]);
    const after = await redisConnectionsOf("moved");
    expect(after).toHaveLength(1);
    expect(after).not.toEqual(connections);
  });

  it("runs on without a Secret that was deleted, says so, and is well when it is back", async () => {
    const { url } = await makeSecrets(place, "bereft");
    await createEngine(place, { pricing: {} }, "bereft");
    await engineBecomes(place, isReady, { name: "bereft" });
    await place.kube.delete(secrets, "bereft-postgres", place.namespace);
    await touch("bereft");
    const bereft = await engineBecomes(place, ({ condition }) => condition("Stalled")?.status === "True", {
      name: "bereft",
    });
    expect(bereft.condition("Stalled")).toMatchObject({
      reason: "SecretsMissing",
      message: "Secret bereft-postgres is missing",
    });
    expect(bereft.condition("Ready")).toMatchObject({ status: "True" });
    await eventually(async () => expect(await eventsOf(place, "Stalled")).toHaveLength(1));

    await applySecret(place, "bereft-postgres", { url });
    await engineBecomes(place, ({ condition }) => condition("Stalled")?.status === "False", { name: "bereft" });
  });
});
