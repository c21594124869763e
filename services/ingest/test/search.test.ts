import { randomUUID } from "node:crypto";
import { type CatalogEventData, searchFailure } from "@pricing-engine/contracts";
import { makePool } from "@pricing-engine/postgres";
import { eventually, startTcpProxy } from "@pricing-engine/testkit";
import { expect, it } from "vitest";
import { digest } from "../src/adapters/digest.ts";
import { makeApplyCatalogEvents } from "../src/usecases/apply-catalog-events.ts";
import { makeIngest, makeIngestDatabase, silent } from "./support/engine.ts";

const minuteMs = 60_000;
const from = Date.UTC(2033, 0, 1);

function planEvent(
  index: number,
  change: { sequence?: number; online?: boolean; title?: string } = {},
): CatalogEventData {
  const { sequence = 1, online = true, title = `Plan ${index}` } = change;
  const startsAtMs = from + index * minuteMs;
  const local = (ms: number) => new Date(ms).toISOString().slice(0, 19);
  const zones = [{ zoneId: "1", name: "a", numbered: false, capacity: 0, priceHundredths: index * 100 + 50 }];
  const endsAtMs = startsAtMs + 90 * minuteMs;
  return {
    kind: "plan",
    id: `00000000-0000-8000-8000-${String(index).padStart(12, "0")}`,
    source: "test",
    sequence,
    contentHash: digest(JSON.stringify([index, change])),
    observedAt: new Date().toISOString(),
    products: false,
    plan: {
      basePlanId: String(index),
      planId: "1",
      title,
      online,
      soldOut: false,
      start: local(startsAtMs),
      end: local(endsAtMs),
      startsAtMs,
      endsAtMs,
      zones,
    },
  };
}

it("answers to the letter, from the replica when it is fresh, and goes on when it is not", async () => {
  await using stale = await makeIngestDatabase();
  await using engine = await makeIngest();
  const replica = await startTcpProxy({ target: engine.database.replicaUrl });
  const through = new URL(engine.database.replicaUrl);
  through.port = String(replica.port);
  const pool = makePool({ url: engine.database.url, max: 4, applicationName: "test", logger: silent });
  const apply = makeApplyCatalogEvents({ pool, digest, currency: () => "EUR" });
  try {
    await apply(Array.from({ length: 2500 }, (_, index) => planEvent(index)));
    const [api, behind] = await Promise.all([
      engine.start("api", { POSTGRES_REPLICA_URL: through.href }),
      engine.start("api", { POSTGRES_REPLICA_URL: stale.url }),
      engine.start("worker"),
    ]);

    for (const query of [
      "starts_at=x",
      "starts_at=2021-09-31T00:00:00Z",
      "starts_at=",
      "ends_at=2021-06-30",
      "starts_at=2033-01-01T00:00:00Z&starts_at=2033-01-01T00:00:00Z",
      "starts_at=2033-01-02T00:00:00Z&ends_at=2033-01-01T00:00:00Z",
      "limit=0",
      "limit=1001",
      "limit=a",
      "cursor=?",
      "cursor=999999999999999_00000000-0000-8000-8000-000000000000",
      "starts_at=0001-01-01T00:00:00%2B01:00",
      "ends_at=9999-12-31T23:59:59-01:00",
      "starts_at=%ff",
      "starts_at=%00",
    ]) {
      const answer = await fetch(`${api.url}/search?${query}`);
      expect([query, answer.status]).toEqual([query, 400]);
      expect(searchFailure.parse(await answer.json()).error.code).toBe("validation_failed");
    }
    expect((await fetch(`${api.url}/search`, { method: "POST" })).status).toBe(405);

    // All of it comes as a stream; an offline plan is not in it, one that was online once is.
    const all = await engine.search(api);
    expect(all).toHaveLength(2500);
    expect(all[3]).toEqual({
      id: planEvent(3).id,
      title: "Plan 3",
      start_date: "2033-01-01",
      start_time: "00:03:00",
      end_date: "2033-01-01",
      end_time: "01:33:00",
      min_price: 3.5,
      max_price: 3.5,
    });

    // Pages, by their links.
    const paged: string[] = [];
    let next: string | undefined = "/search?limit=700&starts_at=2033-01-01T00:10:00";
    for (let page = 0; next !== undefined; page += 1) {
      const answer: Response = await fetch(api.url + next);
      const { data } = (await answer.json()) as { data: { events: { title: string }[] } };
      paged.push(...data.events.map(({ title }) => title));
      next = /<([^>]+)>; rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
      expect(page).toBeLessThan(5);
    }
    expect(paged).toEqual(all.slice(10).map(({ title }) => title));

    // One window; asked again it has the same tag, and 304 without a body.
    const window = "/search?starts_at=2033-01-01T00:00:00Z&ends_at=2033-01-01T02:00:00Z";
    const first = await fetch(api.url + window);
    const tag = first.headers.get("etag") ?? "";
    expect(((await first.json()) as { data: { events: unknown[] } }).data.events).toHaveLength(31);
    const again = await fetch(api.url + window, { headers: { "if-none-match": tag } });
    expect([again.status, await again.text()]).toEqual([304, ""]);

    // A change is shown by whoever is asked, and never taken back; an older one changes nothing.
    const elsewhere = "/search?starts_at=2033-01-01T05:00:00Z&limit=5";
    const tagElsewhere = (await fetch(api.url + elsewhere)).headers.get("etag");
    await apply([planEvent(0, { sequence: 3, title: "Changed" })]);
    await eventually(async () => (await (await fetch(api.url + window)).text()).includes("Changed"));
    await apply([planEvent(0, { sequence: 2, title: "Too late" })]);
    await apply([planEvent(0, { sequence: 3, title: "Repeated" })]);
    for (const service of [api, behind]) {
      const text = await (await fetch(`${service.url}${window}&x=${randomUUID()}`)).text();
      expect(text.includes("Changed") && !text.includes("Too late") && !text.includes("Repeated")).toBe(true);
    }
    // What a change does not touch keeps its tag.
    expect((await fetch(api.url + elsewhere)).headers.get("etag")).toBe(tagElsewhere);
    // A replica that lags for ever is not believed.
    expect(await engine.search(behind, "?limit=1000")).toHaveLength(1000);
    expect(await metric(behind, 'from="primary",reason="replica_behind"')).toBeGreaterThan(0);
    await eventually(async () => {
      await engine.search(api, `?limit=${1 + Math.floor(Math.random() * 999)}`);
      return (await metric(api, 'from="replica",reason="fresh"')) > 0;
    });

    // The replica is gone: searches go on.
    await replica.cut();
    for (let round = 1; round <= 20; round += 1)
      expect(await engine.search(api, `?limit=${round}`)).toHaveLength(round);
    await replica.restore();
    const replicaReads = () => metric(api, 'from="replica",reason="fresh"');
    const readsBefore = await replicaReads();
    let limit = 20;
    const searchOne = async () => {
      limit = 20 + ((limit + 1) % 900);
      expect(await engine.search(api, `?limit=${limit}`)).toHaveLength(limit);
    };
    await eventually(
      async () => {
        await searchOne();
        return (await replicaReads()) > readsBefore;
      },
      { timeoutMs: 20_000 },
    );
    // It hangs: one search finds that out, and no other waits for it.
    await replica.blackhole();
    const waited = () => metric(api, 'from="primary",reason="replica_failed"');
    const waitedBefore = await waited();
    for (const endMs = performance.now() + 7_000; performance.now() < endMs; ) await searchOne();
    expect((await waited()) - waitedBefore).toBe(1);

    // Answers of everything wait for their turn; those whose reader is gone give theirs back.
    const gone = Array.from({ length: 6 }, async () => {
      const leave = new AbortController();
      const answer = await fetch(`${api.url}/search`, { signal: leave.signal }).catch(() => undefined);
      leave.abort();
      await answer?.body?.cancel().catch(() => undefined);
    });
    const whole = Array.from({ length: 6 }, () => engine.search(api));
    for (const events of await Promise.all(whole)) expect(events).toHaveLength(2500);
    await Promise.all(gone);
  } finally {
    await pool.close();
    await replica.close();
  }
}, 180_000);

async function metric({ metricsPort }: { metricsPort: number }, labels: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  return Number(
    text
      .split("\n")
      .find((line) => line.startsWith("pricing_engine_search_reads_total{") && line.includes(labels))
      ?.split(" ")
      .at(-1) ?? 0,
  );
}
