import { randomUUID } from "node:crypto";
import { makePool } from "@pricing-engine/postgres";
import { expect, it } from "vitest";
import { forgetDocument, makeSourceStore, type PollResult } from "../src/adapters/source-store.ts";
import { makeIngestDatabase, silent } from "./support/engine.ts";

const hourMs = 3_600_000;

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

async function openStore() {
  const database = await makeIngestDatabase();
  const pool = makePool({ url: database.url, max: 2, applicationName: "test", logger: silent });
  const store = makeSourceStore(pool, { owner: randomUUID(), leaseMs: 10_000 });
  await store.ensure(["f"]);
  const claim = async (readAs: string, longestWaitMs: number) =>
    (await store.claimDue(new Map([["f", { readAs, longestWaitMs }]])))[0];
  const finish = async (claimed: Awaited<ReturnType<typeof claim>>) => {
    if (claimed === undefined) throw new Error("nothing is due");
    expect(await store.finish(claimed, whole)).toBe(true);
  };
  const close = async (): Promise<void> => {
    await pool.close();
    await database.drop();
  };
  return { pool, store, claim, finish, [Symbol.asyncDispose]: close };
}

it("polls a source whose settings were edited at once, and once", async () => {
  await using opened = await openStore();
  const { store, claim, finish } = opened;
  await finish(await claim("first url", hourMs));
  expect(await claim("first url", hourMs)).toBeUndefined();

  // Another address: the tag of the first says nothing of it.
  const edited = await claim("second url", hourMs);
  expect(edited).toMatchObject({ etag: undefined });
  // A poll that came to nothing is not begun anew all the time.
  if (edited !== undefined) await store.release(edited, 60_000);
  expect(await claim("second url", hourMs)).toBeUndefined();
  await finish(await claim("second url", 30_000));

  // A shorter interval does not wait for the end of the longer one.
  const sooner = await claim("second url", 60_000);
  expect(sooner).toMatchObject({ etag });
  await finish(sooner);
  expect(await claim("second url", hourMs)).toBeUndefined();
});

it("reads a document whole that was to be forgotten, also when a poll of it was in hand just then", async () => {
  await using opened = await openStore();
  const { pool, claim, finish } = opened;
  await finish(await claim("url", hourMs));
  const inHand = await claim("url", 30_000);
  expect(inHand).toMatchObject({ etag });
  await forgetDocument(pool, "f");
  await finish(inHand);
  // At once, and unconditionally.
  const next = await claim("url", hourMs);
  expect(next).toMatchObject({ source: "f", etag: undefined });
  await finish(next);
  expect(await claim("url", hourMs)).toBeUndefined();
  expect(await claim("url", 30_000)).toMatchObject({ etag });
});
