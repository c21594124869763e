import { randomUUID } from "node:crypto";
import { makePool } from "@pricing-engine/postgres";
import { expect, it } from "vitest";
import { makeSourceStore, type PollResult } from "../src/adapters/source-store.ts";
import { makeIngestDatabase, silent } from "./support/engine.ts";

const hourMs = 3_600_000;

it("polls a source whose settings were edited at once, and once", async () => {
  const database = await makeIngestDatabase();
  const pool = makePool({ url: database.url, max: 2, applicationName: "test", logger: silent });
  try {
    const store = makeSourceStore(pool, { owner: randomUUID(), leaseMs: 10_000 });
    const claim = async (readAs: string, longestWaitMs: number) =>
      (await store.claimDue(new Map([["f", { readAs, longestWaitMs }]])))[0];
    const etag = '"1"';
    const whole: PollResult = {
      outcome: "whole",
      error: undefined,
      failures: 0,
      nextMs: hourMs,
      seen: 1,
      changed: 0,
      rejected: 0,
      settled: true,
      validators: { etag, lastModified: undefined },
    };
    const finish = async (claimed: Awaited<ReturnType<typeof claim>>, readAs: string) => {
      if (claimed === undefined) throw new Error("nothing is due");
      expect(await store.finish(claimed, readAs, whole)).toBe(true);
    };
    await store.ensure(["f"]);
    await finish(await claim("first url", hourMs), "first url");
    expect(await claim("first url", hourMs)).toBeUndefined();

    // Another address: the tag of the first says nothing of it.
    const edited = await claim("second url", hourMs);
    expect(edited).toMatchObject({ etag: undefined });
    // A poll that came to nothing is not begun anew all the time.
    if (edited !== undefined) await store.release(edited, 60_000);
    expect(await claim("second url", hourMs)).toBeUndefined();
    await finish(await claim("second url", 30_000), "second url");

    // A shorter interval does not wait for the end of the longer one.
    const sooner = await claim("second url", 60_000);
    expect(sooner).toMatchObject({ etag });
    await finish(sooner, "second url");
    expect(await claim("second url", hourMs)).toBeUndefined();
  } finally {
    await pool.close();
    await database.drop();
  }
});
