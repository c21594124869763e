import { setTimeout as delay } from "node:timers/promises";
import { makeSession, type SessionOptions } from "./session.ts";

/**
 * LISTEN on a connection of its own. postgres.js reconnects a listener once and then gives up in silence, so the loop is
 * ours: a session is one socket, and the next one listens again.
 */
export function listen(options: SessionOptions, channel: string, listener: () => void): { close(): Promise<void> } {
  const closing = new AbortController();

  const once = async (): Promise<void> => {
    const session = makeSession(options, listener);
    const gone = new Promise<void>((done) => session.onClose(done));
    const stop = (): void => session.destroy();
    closing.signal.addEventListener("abort", stop);
    try {
      await session.sql.unsafe(`listen "${channel.replaceAll('"', '""')}"`);
      // What was announced while nobody listened.
      listener();
      await gone;
    } finally {
      closing.signal.removeEventListener("abort", stop);
      session.destroy();
    }
  };

  const loop = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await once().catch(() => undefined);
      await delay(500 + Math.random() * 500, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  };

  const running = loop();
  return {
    async close() {
      closing.abort();
      await running;
    },
  };
}
