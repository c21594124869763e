import { describe, expect, it } from "vitest";
import { makeRenewable } from "./renewable.ts";

function makeBench() {
  const closed: number[] = [];
  let opened = 0;
  const renewable = makeRenewable(
    () => {
      opened += 1;
      return opened;
    },
    async (one) => {
      closed.push(one);
    },
  );
  return { renewable, closed, opened: () => opened };
}

describe("something that is renewed", () => {
  it("is opened with the first use and shared", async () => {
    const { renewable, opened } = makeBench();
    expect(opened()).toBe(0);
    expect(await Promise.all([renewable.use(async (one) => one), renewable.use(async (one) => one)])).toEqual([1, 1]);
    expect(opened()).toBe(1);
  });

  it("is left by who comes next, and closed after its last user", async () => {
    const { renewable, closed } = makeBench();
    const slow = Promise.withResolvers<void>();
    const other = renewable.use(async (one) => {
      await slow.promise;
      return one;
    });
    const failed = renewable.use(async (_one, abandon) => {
      abandon();
      throw new Error("hangs");
    });
    await expect(failed).rejects.toThrow("hangs");
    expect(await renewable.use(async (one) => one)).toBe(2);
    expect(closed).toEqual([]);
    slow.resolve();
    expect(await other).toBe(1);
    expect(closed).toEqual([1]);
  });

  it("is not given up again by one who still uses the last", async () => {
    const { renewable } = makeBench();
    const late = Promise.withResolvers<void>();
    const first = renewable.use(async (_one, abandon) => {
      await late.promise;
      abandon();
    });
    await renewable.use(async (_one, abandon) => abandon());
    expect(await renewable.use(async (one) => one)).toBe(2);
    late.resolve();
    await first;
    expect(await renewable.use(async (one) => one)).toBe(2);
  });

  it("is closed, and so is what was left before", async () => {
    const slow = Promise.withResolvers<void>();
    const closed: number[] = [];
    let opened = 0;
    const renewable = makeRenewable(
      () => {
        opened += 1;
        return opened;
      },
      async (one) => {
        if (one === 1) await slow.promise;
        closed.push(one);
        throw new Error("was broken anyway");
      },
    );
    await renewable.use(async (_one, abandon) => abandon());
    await renewable.use(async () => {});
    const closing = renewable.close();
    slow.resolve();
    await closing;
    expect(closed.toSorted()).toEqual([1, 2]);
  });
});
