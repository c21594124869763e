import { makeLogger } from "@pricing-engine/chassis/log";
import { describe, expect, it } from "vitest";
import { type SessionEnd, supervise } from "./supervisor.ts";

const away = new Error("away");
const broken = new Error("broken");

function superviseScript(script: SessionEnd[]) {
  const started: number[] = [];
  let closed = 0;
  const runs = Promise.withResolvers<void>();
  const supervisor = supervise({
    name: "test",
    start() {
      const ended = Promise.withResolvers<SessionEnd>();
      const end = script[started.length];
      started.push(1);
      if (end === undefined) runs.resolve();
      else ended.resolve(end);
      return {
        ended: ended.promise,
        async close() {
          closed += 1;
          ended.resolve({ kind: "stopped" });
        },
      };
    },
    onEnded: () => undefined,
    isOutage: (error) => error === away,
    maxCrashes: 3,
    backoff: { baseMs: 0, maxMs: 0 },
    random: () => 0,
    logger: makeLogger({ name: "test", level: "silent" }),
  });
  return { supervisor, started, runs: runs.promise, closed: () => closed };
}

describe("supervisor", () => {
  it("starts again after crashes and silence, for ever when waiting helps", async () => {
    const script: SessionEnd[] = [
      ...Array.from({ length: 20 }, (): SessionEnd => ({ kind: "crashed", error: away })),
      { kind: "stalled", error: new Error("silent") },
      { kind: "crashed", error: broken },
    ];
    const { supervisor, started, runs, closed } = superviseScript(script);
    await runs;
    expect(started).toHaveLength(23);
    expect(supervisor.restarts()).toBe(22);
    expect(supervisor.lastError()).toEqual({ lastError: "broken" });
    supervisor.alive();
    expect(supervisor.lastError()).toEqual({});
    await supervisor.stop();
    expect(closed()).toBe(23);
  });

  it("gives up on a loop that only crashes: `failed` rejects with the reason", async () => {
    const script = Array.from({ length: 5 }, (): SessionEnd => ({ kind: "crashed", error: broken }));
    const { supervisor, started } = superviseScript(script);
    await expect(supervisor.failed).rejects.toBe(broken);
    expect(started).toHaveLength(3);
  });
});
