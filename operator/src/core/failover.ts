/**
 * The prober's verdict on one processor.
 *
 * Unknown ──answer──▶ Healthy ◀──recoveryThreshold good answers── Down
 *    └──────┬────────────┘ └─unanswered─▶ Degraded ─answer─▶ Healthy        ▲
 *           └── failing: true, at once; or failureThreshold unanswered in a row ──┘
 *
 * A 429 says "too soon" and nothing about the processor: it changes nothing. Each of them is Unknown again once nothing was heard
 * for `maxVerdictAge`, as it then is for payment workers.
 */
export type ProcessorName = "default" | "fallback";
export type ProcessorState = "Healthy" | "Degraded" | "Down" | "Unknown";

export type Verdict = {
  state: ProcessorState;
  /** When the state began, in milliseconds of the epoch. */
  sinceMs: number;
  /** When a probe last said anything. */
  checkedAtMs: number;
  /** What the processor says of its own least response time. */
  minResponseTimeMs: number;
  unanswered: number;
  goodAnswers: number;
  /** Unknown because what was known before grew too old. */
  isExpired: boolean;
};

export type ProbeResult =
  | { kind: "answer"; failing: boolean; minResponseTimeMs: number }
  | { kind: "too_soon" }
  | { kind: "unanswered" };

export type FailoverSettings = { failureThreshold: number; recoveryThreshold: number };

export function unknownVerdict(nowMs: number): Verdict {
  const counts = { unanswered: 0, goodAnswers: 0 };
  return { state: "Unknown", sinceMs: nowMs, checkedAtMs: nowMs, minResponseTimeMs: 0, ...counts, isExpired: false };
}

/**
 * What a verdict counts for at its age: beyond the greatest one, nothing. Silences stay counted, so that they add up to Down also
 * where more than `maxVerdictAge` lies between two of them.
 */
export function atAge(verdict: Verdict, ageMs: number, maxVerdictAgeMs: number): Verdict {
  if (verdict.state === "Unknown" || ageMs <= maxVerdictAgeMs) return verdict;
  const sinceMs = verdict.checkedAtMs + maxVerdictAgeMs;
  return { ...verdict, state: "Unknown", sinceMs, minResponseTimeMs: 0, isExpired: true };
}

/** @param verdict as it counted when the probe was sent */
export function judge(verdict: Verdict, probe: ProbeResult, settings: FailoverSettings, nowMs: number): Verdict {
  if (probe.kind === "too_soon") return verdict;
  if (probe.kind === "unanswered") {
    const unanswered = verdict.unanswered + 1;
    const down = verdict.state === "Down" || unanswered >= settings.failureThreshold;
    const state = down ? "Down" : verdict.state === "Healthy" ? "Degraded" : verdict.state;
    return become({ ...verdict, unanswered, goodAnswers: 0 }, state, nowMs);
  }
  const seen = { ...verdict, unanswered: 0, minResponseTimeMs: probe.minResponseTimeMs };
  if (probe.failing) return become({ ...seen, goodAnswers: 0 }, "Down", nowMs);
  const goodAnswers = verdict.goodAnswers + 1;
  const stillDown = verdict.state === "Down" && goodAnswers < settings.recoveryThreshold;
  return become({ ...seen, goodAnswers }, stillDown ? "Down" : "Healthy", nowMs);
}

function become(verdict: Verdict, state: ProcessorState, nowMs: number): Verdict {
  const sinceMs = state === verdict.state ? verdict.sinceMs : nowMs;
  return { ...verdict, state, checkedAtMs: nowMs, sinceMs, isExpired: verdict.isExpired && state === "Unknown" };
}

/** Where payments go by the verdicts alone. An unknown processor is tried. */
export function routeOf(verdicts: Readonly<Record<ProcessorName, Verdict>>): "default" | "fallback" | "hold" {
  if (verdicts.default.state !== "Down") return "default";
  return verdicts.fallback.state === "Down" ? "hold" : "fallback";
}
