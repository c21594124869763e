import { infra, startTcpProxy } from "@pricing-engine/testkit";
import { describe, expect, it } from "vitest";
import { makePool, query } from "../src/index.ts";

describe("a connection that breaks while the driver looks at the server's types", () => {
  it("rejects its query, and nothing else", async () => {
    const target = new URL(infra().postgresUrl);
    const proxy = await startTcpProxy({ target: `${target.hostname}:${target.port}` });
    const url = new URL(target);
    url.host = `127.0.0.1:${proxy.port}`;
    const quiet = { warn: () => undefined, info: () => undefined, debug: () => undefined };
    const pool = makePool({ url: url.href, max: 4, applicationName: "lost-types", logger: quiet });
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on("unhandledRejection", note);
    try {
      proxy.delay(40);
      // Its deadline falls into each of the round trips of a connection's start in turn.
      for (let deadlineMs = 50; deadlineMs <= 400; deadlineMs += 10) {
        await query(pool, deadlineMs, ({ sql }) => sql`select ${[1]}::int[]`).catch(() => undefined);
      }
      proxy.restore();
      const [row] = await query(pool, 5_000, ({ sql }) => sql<{ list: number[] }[]>`select ${[1]}::int[] as list`);
      expect(row?.list).toEqual([1]);
      await new Promise((resolve) => setImmediate(resolve));
      expect(unhandled).toEqual([]);
    } finally {
      process.off("unhandledRejection", note);
      await pool.close();
      await proxy.close();
    }
  });
});
