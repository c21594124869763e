import { eventually } from "@pricing-engine/testkit";
import { expect, it } from "vitest";
import { makeIngest } from "./support/engine.ts";

const zone = (price: number) => `<zone zone_id="1" capacity="9" price="${price}" name="a" numbered="false"/>`;
const plan = (id: string, price: number) =>
  `<base_plan base_plan_id="${id}" sell_mode="online" title="Plan ${id}"><plan plan_id="1" plan_start_date="2031-01-01T20:00:00" plan_end_date="2031-01-01T22:00:00">${zone(price)}</plan></base_plan>`;
const feed = (...plans: string[]) => `<planList><output>${plans.join("")}</output></planList>`;

it("ends with what the feed says last, also when a plan changes and changes back while no worker runs", async () => {
  await using engine = await makeIngest({ sources: [{ name: "f", timeoutMs: 1500 }] });
  const prices = async () => {
    const rows = await engine.sql`
      select p.base_plan_id as id, (z.price_hundredths / 100)::int as price
      from ingest.plans p join ingest.zones z on z.plan = p.id order by 1`;
    return rows.map(({ id, price }) => `${id}: ${price}`);
  };
  const first = feed(plan("a", 10), plan("b", 10));
  await engine.behave("f", { documents: [first] });
  const worker = await engine.start("worker");
  await engine.start("poller");
  await eventually(async () => expect(await prices()).toEqual(["a: 10", "b: 10"]), { timeoutMs: 20_000 });
  await engine.polled("f");
  await worker.stop();

  await engine.behave("f", { documents: [feed(plan("a", 11), plan("b", 10))] });
  await engine.polled("f", 2);
  await engine.behave("f", { documents: [first] });
  await engine.polled("f", 2);
  await engine.start("worker");
  await engine.drained();
  expect(await prices()).toEqual(["a: 10", "b: 10"]);
}, 120_000);

it("reads the whole document again after one that broke off, though the provider calls it unchanged", async () => {
  await using engine = await makeIngest({ sources: [{ name: "f", timeoutMs: 1500 }] });
  const [api] = await Promise.all([engine.start("api"), engine.start("worker"), engine.start("poller")]);
  const priceOfA = async () => (await engine.search(api)).find(({ title }) => title === "Plan a")?.min_price;
  const first = feed(plan("a", 10), plan("b", 10));
  await engine.behave("f", { documents: [first] });
  await eventually(async () => expect(await priceOfA()).toBe(10), { timeoutMs: 20_000 });

  const other = feed(plan("a", 11), plan("b", 11));
  await engine.behave("f", { documents: [other], mode: "cut", keepShare: 0.6, gzip: false });
  await eventually(async () => expect(await priceOfA()).toBe(11), { timeoutMs: 20_000 });
  // The etag of the document before is what this one has.
  await engine.behave("f", { documents: [first] });
  await eventually(async () => expect(await priceOfA()).toBe(10), { timeoutMs: 20_000 });
}, 120_000);

it("takes what polls that failed or broke off did not read, though they changed nothing and the last tag stays", async () => {
  await using engine = await makeIngest({ sources: [{ name: "f", timeoutMs: 1500 }] });
  const [api] = await Promise.all([engine.start("api"), engine.start("worker"), engine.start("poller")]);
  const priceOfB = async () => (await engine.search(api)).find(({ title }) => title === "Plan b")?.min_price;
  const row = async () =>
    (await engine.sql`select etag, last_outcome from ingest.sources where lease_owner is null`)[0];
  await engine.behave("f", { documents: [feed(plan("a", 10), plan("b", 10))] });
  await eventually(async () => expect(await priceOfB()).toBe(10), { timeoutMs: 20_000 });
  // In one read: while a poll is under way there is no such row.
  const etag = await eventually(
    async () => {
      const found = await row();
      expect(found?.etag).toEqual(expect.any(String));
      return found?.etag;
    },
    { timeoutMs: 20_000 },
  );

  // What could be read of it is as before: the first document's tag says so still.
  const other = feed(plan("a", 10), plan("b", 11));
  await engine.behave("f", { documents: [other], mode: "cut", keepShare: 0.6, gzip: false });
  await eventually(async () => expect(await row()).toEqual({ etag, last_outcome: "partial" }), { timeoutMs: 20_000 });
  await engine.behave("f", { documents: [other], failureRate: 1 });
  await eventually(async () => expect(await row()).toEqual({ etag, last_outcome: "failed" }), { timeoutMs: 20_000 });
  await engine.behave("f", { documents: [other] });
  await eventually(async () => expect(await priceOfB()).toBe(11), { timeoutMs: 20_000 });
}, 120_000);

it("asks for a document again once it is settled, and is answered 304", async () => {
  await using engine = await makeIngest({ sources: [{ name: "f" }] });
  await engine.behave("f", { documents: [feed(plan("a", 10))] });
  await Promise.all([engine.start("worker"), engine.start("poller")]);
  await eventually(async () => expect((await engine.log("f")).answers["304"] ?? 0).toBeGreaterThan(1), {
    timeoutMs: 30_000,
  });
  // A document without a tag is read each time, and what is settled is not written again.
  await engine.behave("f", { documents: [feed(plan("a", 10))], etag: false });
  const settled = async () =>
    (await engine.sql`select settled from ingest.sources where lease_owner is null`)[0]?.settled;
  await eventually(async () => expect(await settled()).toBe(true), { timeoutMs: 20_000 });
  const sequence = async () => Number((await engine.sql`select sequence from ingest.plans`)[0]?.sequence);
  const before = await sequence();
  await engine.polled("f", 3);
  expect(await sequence()).toBe(before);
}, 120_000);

it("counts a broken handshake as the provider's failure, and shows all figures in the first scrape", async () => {
  await using other = await makeIngest();
  const url = other.provider.url.replace("http:", "https:");
  await using engine = await makeIngest({ sources: [{ name: "tls", url }, { name: "f" }] });
  const [api, poller] = await Promise.all([engine.start("api"), engine.start("poller")]);
  await engine.polled("f");
  await eventually(
    async () => {
      const [status] = (await engine.sources(api)).filter(({ name }) => name === "tls");
      expect(status).toMatchObject({ last_error: expect.stringMatching(/^connection: /), state: "Failing" });
    },
    { timeoutMs: 20_000 },
  );
  const text = await (await fetch(`http://127.0.0.1:${poller.metricsPort}/metrics`)).text();
  for (const line of [
    'pricing_engine_source_plans{source="f",kind="seen"}',
    'pricing_engine_source_breaker_open{source="f"} 0',
    'pricing_engine_source_last_success_seconds{source="f"}',
    'pricing_engine_source_total{source="f",kind="polls"}',
  ])
    expect(text).toContain(line);
}, 60_000);
