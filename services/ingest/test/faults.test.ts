import { eventually, type SpawnedService } from "@pricing-engine/testkit";
import { expect, it } from "vitest";
import { makeIngest } from "./support/engine.ts";

const plans = 400;

/** Plan `n` costs `version` more than its number. */
function feed(version: number): string {
  const body = Array.from({ length: plans }, (_, index) => {
    const start = new Date(Date.UTC(2032, 0, 1) + index * 3_600_000).toISOString().slice(0, 19);
    return `<base_plan base_plan_id="b${index}" sell_mode="online" title="Plan ${index}"><plan plan_id="1" plan_start_date="${start}" plan_end_date="${start}"><zone zone_id="1" capacity="${version}" price="${index + version}" name="a" numbered="false"/><zone zone_id="1" capacity="0" price="${index}" name="b" numbered="true"/></plan></base_plan>`;
  });
  return `<planList><output>${body.join("")}</output></planList>`;
}

it("loses and doubles nothing when pollers and workers are killed at random", async () => {
  await using engine = await makeIngest({ sources: [{ name: "f" }] });
  const lease = { SOURCE_LEASE_MS: "1500" };
  const api = await engine.start("api");
  const start = {
    worker: () => engine.start("worker"),
    poller: () => engine.start("poller", lease),
  };
  const alive: { role: keyof typeof start; service: SpawnedService }[] = [];
  for (const role of ["worker", "poller", "poller"] as const) alive.push({ role, service: await start[role]() });
  // Seeded: a failing run can be run again.
  let seed = 7;
  const pick = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  for (let version = 1; version <= 6; version += 1) {
    await engine.behave("f", { documents: [feed(version)] });
    const victim = alive[pick(alive.length)];
    if (victim === undefined) throw new Error("nobody is alive");
    await new Promise((resolve) => setTimeout(resolve, pick(900)));
    await victim.service.kill();
    victim.service = await start[victim.role]();
  }
  await eventually(
    async () => {
      const rows = await engine.sql`
        select p.base_plan_id, count(*)::int as zones, max(z.price_hundredths)::int as highest, max(z.capacity) as capacity
        from ingest.plans p join ingest.zones z on z.plan = p.id group by p.base_plan_id`;
      expect(rows).toHaveLength(plans);
      for (const row of rows) {
        const index = Number(String(row.base_plan_id).slice(1));
        expect([row.zones, row.highest, row.capacity]).toEqual([2, (index + 6) * 100, 6]);
      }
    },
    { timeoutMs: 90_000, intervalMs: 500 },
  );
  const [{ count } = { count: 0 }] = await engine.sql<
    { count: number }[]
  >`select count(*)::int as count from ingest.plans`;
  expect(count).toBe(plans);
  await eventually(
    async () => {
      const events = await engine.search(api, "?limit=1000");
      expect(events.map(({ max_price }) => max_price)).toEqual(Array.from({ length: plans }, (_, index) => index + 6));
    },
    { timeoutMs: 30_000, intervalMs: 250 },
  );
}, 300_000);

it("lets one of two pollers read a source, and the other one as soon as it is gone", async () => {
  await using engine = await makeIngest({ sources: [{ name: "f", intervalMs: 1000, timeoutMs: 3000 }] });
  await engine.behave("f", { documents: [feed(1)], latencyMeanMs: 50 });
  const lease = { SOURCE_LEASE_MS: "1500" };
  const [first, second] = await Promise.all([engine.start("poller", lease), engine.start("poller", lease)]);
  await engine.polled("f", 6);
  const log = await engine.log("f");
  const [row] = await engine.sql`select total_polls from ingest.sources where name = 'f'`;
  expect(log.concurrent).toBe(1);
  // One may be under way.
  expect(log.requests - Number(row?.total_polls)).toBeLessThanOrEqual(1);
  await first.kill();
  await engine.polled("f", 2, 30_000);
  expect(second.output()).toContain('"outcome"');
}, 120_000);
