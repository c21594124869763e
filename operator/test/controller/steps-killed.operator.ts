import { makeLogger } from "@pricing-engine/chassis/log";
import { type KafkaAdmin, makeKafka, makeKafkaAdmin } from "@pricing-engine/kafka";
import { makePool, type Pool } from "@pricing-engine/postgres";
import { eventually, infra, type RequestFault, type SeenRequest, type SpawnedService } from "@pricing-engine/testkit";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { observePartitions, runPartitions } from "../../src/adapters/partitions.ts";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import { startKubeProxy } from "../kube/setup.ts";
import {
  createEngine,
  engineBecomes,
  getObject,
  isReady,
  makePlace,
  makeSecrets,
  type Place,
  patchEngine,
  seeEngine,
} from "./setup.ts";

const { deployments, jobs, secrets } = resourceTypes;
const table = { schema: "pricing", name: "price_history", column: "decided_at" };
const logger = makeLogger({ name: "test", level: "fatal" });
let place: Place;
let admin: KafkaAdmin;

beforeAll(async () => {
  place = await makePlace();
  admin = makeKafkaAdmin({ kafka: makeKafka({ brokers: [infra().kafkaBrokers], clientId: "killed-test", logger }) });
  place.defer(() => admin.close());
});
afterAll(() => place?.close());

interface Barrier {
  readonly fault: RequestFault;
  match(request: SeenRequest): boolean;
}

/** Never comes to the API server. */
const held = (method: string, path: string): Barrier => ({
  fault: { kind: "hold", until: new Promise(() => undefined) },
  match: (request) => request.method === method && request.url.pathname.endsWith(path),
});

/** Starts an operator, waits until it is where it is to be killed, and kills it. */
async function killAt(isThere: () => Promise<boolean>, ...barriers: readonly Barrier[]): Promise<void> {
  await using proxy = await startKubeProxy();
  for (const { fault, match } of barriers) proxy.inject(fault, match, 100);
  const operator = await startNext(proxy.url);
  await eventually(
    async () => {
      for (const { match } of barriers) expect(proxy.requests.some(match)).toBe(true);
      expect(await isThere()).toBe(true);
    },
    { intervalMs: 5, timeoutMs: 60_000 },
  );
  await operator.kill("SIGKILL");
}

async function startNext(url?: string): Promise<SpawnedService> {
  await place.freeLease();
  return await place.startOperator(url === undefined ? {} : { url });
}

const find = (type: typeof jobs, name: string) => place.kube.find(type, name, place.namespace);
const jobsOf = async () => (await place.kube.list(jobs, { namespace: place.namespace })).items;
const topicsOf = async (name: string) =>
  (await admin.listTopics()).filter((topic) => topic.startsWith(`${place.namespace}.${name}.`));

describe("the operator killed while it makes an engine", () => {
  it("goes on where it was, at each step", async () => {
    const database = await makeSecrets(place);
    place.nodes.holdJobs();
    await createEngine(place, { pricing: {} });
    await using blocker = await block(database.url);

    // Secrets: before its own is made, and when nobody told it that it was.
    await killAt(async () => (await find(secrets, "shop-signing")) === undefined, held("POST", "/secrets"));
    const lost: Barrier = { ...held("POST", "/secrets"), fault: { kind: "lose-answer" } };
    const [noSettings, noJob] = [held("POST", "/configmaps"), held("POST", "/jobs")];
    await killAt(async () => (await find(secrets, "shop-signing")) !== undefined, lost, noSettings, noJob);
    const signing = (await getObject(place, secrets, "shop-signing")).metadata.uid;

    // Topics, at the first of them; live settings and migrations, before there are any.
    await killAt(async () => (await topicsOf("shop")).length > 0, noSettings, noJob);
    expect(await jobsOf()).toEqual([]);

    // Migrations: while they run.
    await killAt(async () => (await seeEngine(place)).condition("SchemaReady")?.reason === "MigrationRuns");
    expect(await jobsOf()).toHaveLength(1);
    place.nodes.releaseJobs();

    // Partitions: one is made and waits to be attached.
    await blocker.hold("lock table only pricing.price_history in share update exclusive mode");
    await killAt(async () => (await monthsOf(blocker.sql)).some((month) => month.endsWith("standalone created")));
    await blocker.release();

    // Workloads: one of two is there.
    await killAt(
      async () => (await find(deployments, "shop-pricing-api")) !== undefined,
      held("PATCH", "/deployments/shop-pricing-worker"),
    );
    expect(await find(deployments, "shop-pricing-worker")).toBeUndefined();

    // Status: all is done, and nobody was told.
    await killAt(
      async () => (await find(deployments, "shop-pricing-worker"))?.status !== undefined,
      held("PATCH", "/pricingengines/shop/status"),
    );
    expect((await seeEngine(place)).condition("Ready")?.status).not.toBe("True");

    const last = await startNext();
    const ready = await engineBecomes(place, isReady);
    expect(ready.status.partitions).toMatchObject([{ table: "pricing.price_history", months: 4 }]);
    expect((await getObject(place, secrets, "shop-signing")).metadata.uid).toBe(signing);
    expect(await jobsOf()).toHaveLength(1);
    expect((await topicsOf("shop")).length).toBeGreaterThan(4);
    await last.kill("SIGKILL");
    await place.kube.delete(resourceTypes.pricingEngines, "shop", place.namespace);
  });
});

describe("the operator killed while months go", () => {
  it("finishes each, in whatever state it was left", async () => {
    const database = await makeSecrets(place, "old");
    const pool = makePool({ url: database.url, max: 2, applicationName: "killed-test", logger });
    await makeOldMonths(pool).finally(() => pool.close());
    await using blocker = await block(database.url);
    const { sql } = blocker;
    const retention = { keep: "1mo", action: "drop", grace: "1h" };
    const [eldest = "", elder = ""] = (await monthsOf(sql)).map((month) => month.split(" ")[0] ?? "");
    const stateOf = async (month: string) =>
      (await monthsOf(sql)).find((one) => one.startsWith(month))?.slice(month.length + 1);
    await createEngine(place, { pricing: {}, partitions: { retention } }, "old");

    // Said that it goes, and not begun. New months come first: the lock is taken when they are there.
    await blocker.hold(`lock table pricing.${eldest} in share update exclusive mode`);
    await killAt(() => isWaiting(sql, "comment on table"));
    await cut(sql);
    await blocker.release();
    expect(await stateOf(eldest)).toBe("attached attached");
    expect(await monthsOf(sql)).toHaveLength(6);
    await blocker.hold("lock table only pricing.price_history in share update exclusive mode");
    await killAt(async () => (await stateOf(eldest)) === "attached detaching");
    // Postgres has not noticed: what waits for the lock would detach it yet.
    await cut(sql);
    await blocker.release();

    // Begun, and waiting for a reader.
    await blocker.hold("select from pricing.price_history");
    await killAt(async () => (await stateOf(eldest)) === "pending detaching");
    await cut(sql);
    await blocker.release();
    expect(await stateOf(eldest)).toBe("pending detaching");

    // Out, and nobody noted when; its neighbour is still to go.
    await sql.unsafe(`alter table pricing.price_history detach partition pricing.${eldest} finalize`);
    expect([await stateOf(eldest), await stateOf(elder)]).toEqual(["standalone detaching", "attached attached"]);
    const operator = await startNext();
    await engineBecomes(place, isReady, { name: "old" });
    expect([await stateOf(eldest), await stateOf(elder)]).toEqual(["standalone detached", "standalone detached"]);
    await operator.kill("SIGKILL");

    // About to be dropped, and somebody reads it.
    await patchEngine(place, { spec: { partitions: { retention: { ...retention, grace: "0s" } } } }, "old");
    await blocker.hold(`select from pricing.${eldest}`);
    await killAt(() => isWaiting(sql, "drop table"));
    await cut(sql);
    await blocker.release();
    expect(await stateOf(eldest)).toBe("standalone detached");
    await startNext();
    await eventually(async () =>
      expect((await monthsOf(sql)).map((month) => month.split(" ")[0])).not.toContain(eldest),
    );
    const ready = await engineBecomes(place, isReady, { name: "old" });
    expect(await monthsOf(sql)).toHaveLength(4);
    expect(ready.status.partitions).toMatchObject([{ months: 4 }]);
  });
});

/** `<table> <state> <mark>`, oldest first. */
async function monthsOf(sql: Sql): Promise<readonly string[]> {
  return (await observePartitions(sql, table)).map(({ mark, name, state }) => `${name} ${state} ${mark.kind}`);
}

/** Two months of half a year ago, as an operator of that time made them. */
async function makeOldMonths(pool: Pool): Promise<void> {
  const now = new Date();
  const thenMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 6, 15);
  await runPartitions(pool, [table], { premakeMonths: 1 }, () => thenMs);
}

async function isWaiting(sql: Sql, statement: string): Promise<boolean> {
  const rows = await sql`select 1 from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query ilike ${`${statement}%`}`;
  return rows.length > 0;
}

/** Postgres would go on with what a killed client had asked for. */
async function cut(sql: Sql): Promise<void> {
  await sql`select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where datname = current_database() and application_name like '%.operator'`;
}

/** Sessions that look on and that stand in the way. */
async function block(url: string) {
  const options = { max: 1, onnotice: () => undefined, connection: { TimeZone: "UTC" } };
  const [sql, holder] = [postgres(url, options), postgres(url, options)];
  return {
    sql,
    /** A transaction that stays open after this statement. */
    async hold(statement: string): Promise<void> {
      await holder.unsafe(`begin; ${statement}`);
    },
    async release(): Promise<void> {
      await holder.unsafe("commit");
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await Promise.all([sql.end(), holder.end()]);
    },
  };
}
