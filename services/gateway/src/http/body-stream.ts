import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";

/**
 * A request's body as it arrives, in a stream of its own. Whoever reads it may destroy it, as an HTTP client does once the service
 * has answered before it had read all: to destroy the request itself would be to cut the connection to who waits for that answer.
 */
export function bodyStreamOf(incoming: IncomingMessage): Readable {
  const body = new Readable({
    read: () => void incoming.resume(),
    destroy(error, done) {
      incoming.off("data", onData).off("end", onEnd).off("close", onClose);
      done(error);
    },
  });
  const onData = (chunk: Buffer): void => {
    if (!body.push(chunk)) incoming.pause();
  };
  const onEnd = (): void => void body.push(null);
  const onClose = (): void => {
    if (!incoming.readableEnded) body.destroy(new Error("the client has gone"));
  };
  incoming.on("data", onData).once("end", onEnd).once("close", onClose).pause();
  return body;
}
