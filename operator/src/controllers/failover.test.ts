import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ProbeResult, ProcessorName, Verdict } from "../core/failover.ts";
import type { FailoverPlan } from "../core/plan.ts";
import { type Failover, makeFailover } from "./failover.ts";
import { sleep } from "./sleep.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(async () => {
  await failover?.close();
  vi.useRealTimers();
});

let failover: Failover | undefined;
const good: ProbeResult = { kind: "answer", failing: false, minResponseTimeMs: 5 };
const failing: ProbeResult = { kind: "answer", failing: true, minResponseTimeMs: 5 };
const silent: ProbeResult = { kind: "unanswered" };
const soon: ProbeResult = { kind: "too_soon" };
const processor = (name: ProcessorName, url = name) => ({ name, url: { from: "value", value: url } as const });
const plan: FailoverPlan = {
  processors: [processor("default"), processor("fallback")],
  probeIntervalMs: 5_000,
  maxVerdictAgeMs: 30_000,
  failureThreshold: 3,
  recoveryThreshold: 2,
  paused: false,
};

/** What is said of the default processor, at which second; the fallback always answers well. */
function start(answers: () => ProbeResult, { tookMs = 0, ...more }: Partial<FailoverPlan> & { tookMs?: number } = {}) {
  const said: string[] = [];
  let clockMs = 1_000_000;
  let fallbacks = 0;
  const note = (how: string) => (name: ProcessorName, before: Verdict, after: Verdict) => {
    if (name === "fallback" && after.state !== "Healthy") fallbacks++;
    if (name === "default" && before.state !== after.state) {
      said.push(`${performance.now() / 1000} ${how} ${before.state} → ${after.state}`);
    }
  };
  const made = makeFailover({
    async probe({ name }, signal) {
      if (tookMs > 0) await sleep(tookMs, signal);
      return name === "default" ? answers() : good;
    },
    nowMs: () => clockMs + performance.now(),
    monotonicMs: () => performance.now(),
    onVerdict: note("heard"),
    onExpired: note("expired"),
  });
  failover = made;
  made.apply({ ...plan, ...more });
  return {
    said,
    failover: made,
    state: () => made.verdicts()?.default.state,
    told: () => made.heard()?.default.state,
    badFallbacks: () => fallbacks,
    setClock(ms: number) {
      clockMs += ms;
    },
  };
}
/** Answers one after the other; the last one for ever. */
const series = (...answers: ProbeResult[]) => {
  let nth = 0;
  return () => answers[Math.min(nth++, answers.length - 1)] ?? soon;
};
const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);

describe("the prober", () => {
  it("says that a verdict is Unknown at the moment at which it grows too old, once, while it hears nothing but too soon", async () => {
    const { said, state, told, badFallbacks } = start(series(good, soon));
    await pass(30);
    expect([state(), said]).toEqual(["Healthy", ["0 heard Unknown → Healthy"]]);
    await pass(3_600);
    expect(said).toEqual(["0 heard Unknown → Healthy", "30.001 expired Healthy → Unknown"]);
    expect(state()).toBe("Unknown");
    // Workers see its age for themselves: nothing is written for them.
    expect(told()).toBe("Healthy");
    expect(badFallbacks()).toBe(0);
  });

  it("takes the next answer as the first one", async () => {
    let answer: ProbeResult = failing;
    const { said, state, told } = start(() => answer);
    await pass(1);
    answer = soon;
    await pass(60);
    expect([state(), told()]).toEqual(["Unknown", "Down"]);
    answer = good;
    await pass(5);
    expect([state(), told()]).toEqual(["Healthy", "Healthy"]);
    expect(said).toEqual(["0 heard Unknown → Down", "30.001 expired Down → Unknown", "65 heard Unknown → Healthy"]);
  });

  it.each([
    ["answers", good, "Healthy"],
    ["says that it fails", failing, "Down"],
  ])(
    "never calls one unknown that %s every time, also when it takes three seconds for it",
    async (_, answer, state) => {
      const all: string[] = [];
      const { said, ...world } = start(() => answer, { tookMs: 3_000, maxVerdictAgeMs: 8_000 });
      for (let count = 0; count < 6_000; count++) {
        await pass(0.1);
        if (performance.now() > 3_000) all.push(world.state() ?? "");
      }
      expect(new Set(all)).toEqual(new Set([state]));
      expect(said).toEqual([`3 heard Unknown → ${state}`]);
    },
  );

  it("keeps thresholds also where the age ends while an answer is awaited", async () => {
    const tight = { maxVerdictAgeMs: 6_000, tookMs: 3_000 };
    const silences = start(series(good, silent), tight);
    await pass(60);
    expect(silences.told()).toBe("Down");
    await silences.failover.close();

    const answers = start(series(failing, good), tight);
    await pass(4);
    expect(answers.told()).toBe("Down");
    await pass(8);
    expect(answers.told()).toBe("Down");
    await pass(8);
    expect(answers.told()).toBe("Healthy");
  });

  it("goes by no clock that can be set", async () => {
    const { said, state, setClock } = start(() => good);
    await pass(1);
    setClock(3_600_000);
    expect(state()).toBe("Healthy");
    await pass(60);
    setClock(-7_200_000);
    await pass(60);
    expect(said).toEqual(["0 heard Unknown → Healthy"]);
  });

  it("lets a verdict expire while it is paused, and probes at once when that ends", async () => {
    const { said, state, failover: made } = start(() => failing);
    await pass(12);
    made.apply({ ...plan, paused: true });
    expect(state()).toBe("Down");
    await pass(60);
    made.apply(plan);
    await pass(1);
    expect(said).toEqual(["0 heard Unknown → Down", "40.001 expired Down → Unknown", "72 heard Unknown → Down"]);
  });

  it("goes by another age as soon as that is in force", async () => {
    const { said, state, failover: made } = start(series(good, soon));
    await pass(10);
    made.apply({ ...plan, maxVerdictAgeMs: 20_000 });
    await pass(10);
    expect(state()).toBe("Healthy");
    await pass(1);
    expect(state()).toBe("Unknown");
    // As workers, who then count it again.
    made.apply({ ...plan, maxVerdictAgeMs: 40_000 });
    expect(state()).toBe("Healthy");
    await pass(60);
    expect(said).toEqual([
      "0 heard Unknown → Healthy",
      "20.001 expired Healthy → Unknown",
      "40.001 expired Healthy → Unknown",
    ]);
  });

  it("waits longer than a timer can", async () => {
    const days = 86_400;
    const { said, state } = start(series(good, soon), {
      maxVerdictAgeMs: 40 * days * 1000,
      probeIntervalMs: days * 1000,
    });
    await pass(39 * days);
    expect(state()).toBe("Healthy");
    await pass(2 * days);
    expect(said).toEqual(["0 heard Unknown → Healthy", `${40 * days + 0.001} expired Healthy → Unknown`]);
  });

  it("says nothing after its end, nor of what is no longer probed", async () => {
    const { said, failover: made } = start(series(good, soon));
    await pass(1);
    made.apply(undefined);
    expect([made.verdicts(), made.heard()]).toEqual([undefined, undefined]);
    await pass(60);
    made.apply(plan);
    await pass(1);
    await made.close();
    await pass(60);
    expect(said).toEqual(["0 heard Unknown → Healthy"]);
  });
});
