import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../usecases/ports.ts";

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  async sleep(ms, signal) {
    try {
      await delay(ms, undefined, { signal });
    } catch {
      // Aborted: whoever sleeps looks at the signal himself.
    }
  },
};
