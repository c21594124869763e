import { eventually, infra } from "@pricing-engine/testkit";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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
  type Place,
  patchEngine,
} from "./setup.ts";

const { deployments, secrets } = resourceTypes;
let place: Place;
let sql: Sql;

beforeAll(async () => {
  place = await makePlace();
  sql = postgres(infra().postgresUrl, { max: 1, connection: { application_name: "secrets-test" } });
  place.defer(() => sql.end());
  await place.startOperator();
});
afterAll(() => place?.close());

/** Databases that the operator is connected to, for the engine. */
const connectedTo = async (name: string): Promise<readonly string[]> => {
  const rows = await sql<{ datname: string }[]>`
    select distinct datname from pg_stat_activity where application_name = ${`${place.namespace}.${name}.operator`}`;
  return rows.map(({ datname }) => datname);
};
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
      engineBecomes(place, ({ condition }) => condition("Ready")?.message === message, { name: "early" });
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

describe("an engine that runs", () => {
  it("is connected anew, and its pods with it, when a Secret is another one", async () => {
    const first = await makeSecrets(place, "moved");
    await createEngine(place, { pricing: {} }, "moved");
    await engineBecomes(place, isReady, { name: "moved" });
    await eventually(async () => expect(await connectedTo("moved")).toEqual([first.name]));
    const before = await podHash("moved-pricing-worker");

    const second = await makeSecrets(place, "moved");
    // Without being touched: within the minute.
    await eventually(async () => expect(await connectedTo("moved")).toEqual([second.name]), { timeoutMs: 75_000 });
    await eventually(async () => (await podHash("moved-pricing-worker")) !== before);
    const ready = await engineBecomes(place, isReady, { name: "moved" });
    expect(ready.status.partitions).toMatchObject([{ months: 4 }]);
    expect(await sql`select 1 from pg_stat_activity where datname = ${first.name}`).toEqual([]);
  });

  it("runs on without a Secret that was deleted, says so, and is well when it is back", async () => {
    await makeSecrets(place, "bereft");
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

    const [database] = await connectedTo("bereft");
    const url = new URL(infra().postgresUrl);
    url.pathname = `/${database}`;
    await applySecret(place, "bereft-postgres", { url: url.href });
    await engineBecomes(place, ({ condition }) => condition("Stalled")?.status === "False", { name: "bereft" });
  });
});
