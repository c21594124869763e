import { describe, expect, it } from "vitest";
import { makeOutageGate } from "./outage-gate.ts";

function setup() {
  const timers: { delayMs: number; run: () => void }[] = [];
  const opened: number[] = [];
  const gate = makeOutageGate({
    backoff: { baseMs: 100, maxMs: 1_000 },
    random: () => 0.999,
    onOpen: () => opened.push(1),
    onOutage: () => undefined,
    schedule(delayMs, run) {
      const timer = { delayMs, run };
      timers.push(timer);
      return () => {
        const at = timers.indexOf(timer);
        if (at >= 0) timers.splice(at, 1);
      };
    },
  });
  return { gate, timers, opened, fire: () => timers.shift()?.run() };
}

describe("outage gate", () => {
  it("probes with one of the parked, waits longer each time, then lets all go", () => {
    const { gate, timers, opened, fire } = setup();
    const tried: string[] = [];
    const down = new Error("down");
    gate.park(down, () => {
      tried.push("a");
      gate.park(down, () => tried.push("a again"));
    });
    gate.park(down, () => {
      tried.push("b");
      gate.park(down, () => tried.push("b again"));
    });
    expect(gate.reason()).toBe("down");
    expect(timers.map(({ delayMs }) => delayMs)).toEqual([100]);
    fire();
    expect(tried).toEqual(["a"]);
    expect(timers.map(({ delayMs }) => delayMs)).toEqual([200]);
    fire();
    expect(tried).toEqual(["a", "b"]);
    gate.succeeded();
    expect(tried).toEqual(["a", "b", "a again", "b again"]);
    expect(gate.reason()).toBeUndefined();
    expect(opened).toHaveLength(1);
    expect(timers).toHaveLength(0);
  });

  it("says nothing of a success without an outage, and forgets when closed", () => {
    const { gate, timers, opened } = setup();
    gate.succeeded();
    expect(opened).toHaveLength(0);
    gate.park(new Error("down"), () => undefined);
    gate.close();
    expect(timers).toHaveLength(0);
  });
});
