import { type BackoffOptions, backoffMs } from "./backoff.ts";

/**
 * Waits out an outage. While one lasts nothing new starts; what met it is parked, and one of the parked is tried again
 * after a backoff with jitter. Anything but another outage means that the way is free.
 */
export interface OutageGate {
  /** Why nothing may start; undefined: the way is free. */
  reason(): string | undefined;
  /** `retry` runs again as a probe, or when another probe got through. */
  park(error: unknown, retry: () => void): void;
  /** Something got through. */
  succeeded(): void;
  /** Forgets what is parked. */
  close(): void;
}

export interface OutageGateOptions {
  backoff: BackoffOptions;
  random(): number;
  /** The way is free again. */
  onOpen(): void;
  onOutage(error: unknown): void;
  schedule?(delayMs: number, run: () => void): () => void;
}

export function makeOutageGate({
  backoff,
  random,
  onOpen,
  onOutage,
  schedule = byTimer,
}: OutageGateOptions): OutageGate {
  let reason: string | undefined;
  let probes = 0;
  let parked: (() => void)[] = [];
  let cancel: (() => void) | undefined;
  let closed = false;

  return {
    reason: () => reason,
    park(error, retry) {
      if (closed) return;
      parked.push(retry);
      if (reason === undefined) onOutage(error);
      reason = error instanceof Error ? error.message : String(error);
      // Work that was under way when the outage began reports after the probe was set: one probe is enough.
      if (cancel !== undefined) return;
      probes += 1;
      cancel = schedule(backoffMs(probes, backoff, random()), () => {
        cancel = undefined;
        parked.shift()?.();
      });
    },
    succeeded() {
      if (reason === undefined) return;
      reason = undefined;
      probes = 0;
      cancel?.();
      cancel = undefined;
      const waiting = parked;
      parked = [];
      for (const retry of waiting) retry();
      onOpen();
    },
    close() {
      closed = true;
      cancel?.();
      parked = [];
    },
  };
}

function byTimer(delayMs: number, run: () => void): () => void {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
}
