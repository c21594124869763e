/** Ready, or why not. A reason is shown on /readyz: it names the part, no internals. */
export type CheckResult = { ok: true } | { ok: false; reason: string };
export type Check = () => CheckResult | Promise<CheckResult>;

export type HealthReport = { ready: boolean; checks: Record<string, CheckResult> };

export type HealthRegistry = {
  /** Adds a part to readiness; returns what takes it out again. A `liveness` check failing means: restart me. */
  register(name: string, check: Check, kind?: "readiness" | "liveness"): () => void;
  readiness(): Promise<HealthReport>;
  liveness(): Promise<HealthReport>;
};

const checkTimeoutMs = 1_000;

export function makeHealth({ isStopping }: { isStopping: () => boolean }): HealthRegistry {
  const checks = { readiness: new Map<string, Check>(), liveness: new Map<string, Check>() };

  async function report(entries: Map<string, Check>): Promise<HealthReport> {
    const results = await Promise.all(
      [...entries].map(async ([name, check]): Promise<[string, CheckResult]> => [name, await runCheck(check)]),
    );
    return { ready: results.every(([, result]) => result.ok), checks: Object.fromEntries(results) };
  }

  return {
    register(name, check, kind = "readiness") {
      checks[kind].set(name, check);
      return () => checks[kind].delete(name);
    },
    readiness: async () =>
      isStopping()
        ? { ready: false, checks: { process: { ok: false, reason: "shutting down" } } }
        : report(checks.readiness),
    liveness: () => report(checks.liveness),
  };
}

async function runCheck(check: Check): Promise<CheckResult> {
  const { promise: late, resolve } = Promise.withResolvers<CheckResult>();
  const timer = setTimeout(() => resolve({ ok: false, reason: "the check did not answer" }), checkTimeoutMs);
  try {
    return await Promise.race([check(), late]);
  } catch {
    return { ok: false, reason: "the check failed" };
  } finally {
    clearTimeout(timer);
  }
}
