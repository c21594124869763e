import { describeError } from "../runtime/local/user-error.ts";
import type { LocalOptions } from "./options.ts";
import { runEngine } from "./run-engine.ts";
import type { BackgroundMessage } from "./start-detached.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** In this process, until Ctrl-C. Returns the exit code. */
export async function startAttached(options: LocalOptions, say: (line: string) => void): Promise<number> {
  const stop = new AbortController();
  // Until then nothing else says that the key was heard.
  let isUp = false;
  for (const signal of signals) {
    process.on(signal, () => {
      if (stop.signal.aborted && signal === "SIGINT") {
        // The children follow by their pipe, the servers by their watchdog.
        say("Stopping at once");
        process.exit(130);
      }
      if (!isUp) say("Stopping …");
      stop.abort();
    });
  }
  try {
    const onUp = () => {
      isUp = true;
    };
    await runEngine(options, { say, onUp, stop: stop.signal });
    return 0;
  } catch (error) {
    say(describeError(error));
    return 1;
  }
}

/** The process that `startDetached` makes. */
export async function runBackground(options: LocalOptions): Promise<number> {
  const stop = new AbortController();
  for (const signal of signals) process.on(signal, () => stop.abort());
  const send = (message: BackgroundMessage) => {
    if (process.connected) process.send?.(message, () => undefined);
  };
  const say = (line: string) => {
    console.log(line);
    send({ kind: "line", line });
  };
  try {
    await runEngine(options, { say, onUp: () => send({ kind: "up" }), stop: stop.signal });
    return 0;
  } catch (error) {
    say(describeError(error));
    return 1;
  } finally {
    if (process.connected) process.disconnect();
  }
}
