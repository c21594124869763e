import type { Logger } from "../log/index.ts";

/**
 * Runs a job again and again, `everyMs` (with a tenth of jitter) after its end, until the signal; a pause that may change is asked for as
 * each begins. A fault is logged.
 */
export function runEvery(
  name: string,
  everyMs: number | (() => number),
  job: () => Promise<unknown>,
  { signal, logger }: { signal: AbortSignal; logger: Pick<Logger, "warn"> },
): void {
  let timer: NodeJS.Timeout | undefined;
  const plan = (): void => {
    if (signal.aborted) return;
    const pauseMs = typeof everyMs === "number" ? everyMs : everyMs();
    timer = setTimeout(() => void run(), pauseMs * (0.9 + Math.random() * 0.2));
  };
  const run = async (): Promise<void> => {
    try {
      await job();
    } catch (error) {
      if (!signal.aborted) logger.warn({ err: error, job: name }, "a job failed, the next run comes");
    }
    plan();
  };
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  plan();
}
