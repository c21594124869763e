import { AppError } from "@pricing-engine/chassis/errors";
import { expect, it } from "vitest";
import type { Caller } from "../domain/access.ts";
import { hashKey } from "./hash-key.ts";
import { makeKeyring } from "./keyring.ts";

const reader: Caller = { tenant: "acme", role: "reader" };

function open() {
  const stored = new Map([[hashKey("good"), reader]]);
  const state = { nowMs: 0, looks: 0, isAway: false };
  const keyring = makeKeyring({
    look: async (hash) => {
      state.looks += 1;
      if (state.isAway) throw new AppError("postgres_unavailable");
      return stored.get(hash);
    },
    isOutage: (error) => error instanceof AppError && error.code === "postgres_unavailable",
    adminKey: "first",
    now: () => state.nowMs,
  });
  return { keyring, stored, state };
}

it("asks Postgres once for many uses", async () => {
  const { keyring, state } = open();
  expect(keyring.findKnown("good")).toBeUndefined();
  expect(await Promise.all(Array.from({ length: 20 }, () => keyring.find("good")))).toEqual(Array(20).fill(reader));
  expect(keyring.findKnown("good")).toEqual(reader);
  expect(state.looks).toBe(1);
});

it("forgets a key that was revoked elsewhere in less than 2 s", async () => {
  const { keyring, stored, state } = open();
  await keyring.find("good");
  stored.clear();
  state.nowMs = 1_600;
  expect(keyring.findKnown("good")).toBeUndefined();
  expect(await keyring.find("good")).toBeUndefined();
});

it("forgets a key revoked here at once, also while an older look is under way", async () => {
  const { keyring, stored } = open();
  const older = keyring.find("good");
  stored.clear();
  keyring.forget(hashKey("good"));
  await older;
  expect(keyring.findKnown("good")).toBeUndefined();
  expect(await keyring.find("good")).toBeUndefined();
});

it("keeps taking a known key while Postgres is away, for an hour", async () => {
  const { keyring, state } = open();
  await keyring.find("good");
  state.isAway = true;
  state.nowMs = 3_000_000;
  expect(await keyring.find("good")).toEqual(reader);
  await expect(keyring.find("new")).rejects.toMatchObject({ code: "postgres_unavailable" });
  state.nowMs = 3_700_000;
  await expect(keyring.find("good")).rejects.toMatchObject({ code: "postgres_unavailable" });
});

it("takes the first admin key without Postgres", async () => {
  const { keyring, state } = open();
  state.isAway = true;
  expect(keyring.findKnown("first")?.role).toBe("admin");
  expect((await keyring.find("first"))?.role).toBe("admin");
});
