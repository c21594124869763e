import { pino } from "pino";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { makeLifecycle } from "./make-lifecycle.ts";

const logger = pino({ level: "silent" });

describe("lifecycle", () => {
  it("closes last-in first-out, once, and goes on after a failure", async () => {
    const closed: string[] = [];
    const lifecycle = makeLifecycle({ logger, graceMs: 1_000 });
    for (const name of ["pool", "broken", "server"]) {
      lifecycle.defer(name, () => {
        closed.push(name);
        if (name === "broken") throw new Error("no");
      });
    }
    const results = await Promise.all([lifecycle.shutdown("a"), lifecycle.shutdown("b")]);
    expect(closed).toEqual(["server", "broken", "pool"]);
    expect(results).toEqual([false, false]);
  });

  it("leaves one that hangs behind and still closes the others within the grace period", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const lifecycle = makeLifecycle({ logger, graceMs: 400 });
    let poolClosed = false;
    lifecycle.defer("pool", () => {
      poolClosed = true;
    });
    lifecycle.defer("stuck", () => new Promise(() => {}));
    const stopping = lifecycle.shutdown("test");
    await vi.advanceTimersByTimeAsync(400);
    expect(poolClosed).toBe(true);
    expect(await stopping).toBe(false);
  });

  it("closes what a closer or a late construction step adds meanwhile", async () => {
    const lifecycle = makeLifecycle({ logger, graceMs: 400 });
    let lateClosed = false;
    lifecycle.defer("first", () => {
      lifecycle.defer("late", () => {
        lateClosed = true;
      });
    });
    await lifecycle.shutdown("test");
    expect(lateClosed).toBe(true);
  });

  it("is not ready from the first moment of a shutdown, and its signal is aborted", async () => {
    const lifecycle = makeLifecycle({ logger, graceMs: 400 });
    lifecycle.health.register("part", () => ({ ok: true }));
    expect((await lifecycle.health.readiness()).ready).toBe(true);
    lifecycle.defer("look", async () => {
      expect(lifecycle.signal.aborted).toBe(true);
      expect((await lifecycle.health.readiness()).ready).toBe(false);
    });
    expect(await lifecycle.shutdown("test")).toBe(true);
  });

  it("names the part that is not ready, also when its check throws or hangs", async () => {
    const { health } = makeLifecycle({ logger, graceMs: 400 });
    health.register("thrower", () => {
      throw new Error("password=1");
    });
    const hanging = health.register("hanger", () => new Promise(() => {}));
    const report = await health.readiness();
    expect(report.ready).toBe(false);
    expect(report.checks).toMatchObject({ thrower: { ok: false }, hanger: { ok: false } });
    expect(JSON.stringify(report)).not.toContain("password");
    hanging();
    expect(Object.keys((await health.readiness()).checks)).toEqual(["thrower"]);
  });
});
