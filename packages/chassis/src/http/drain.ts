import type { IncomingMessage } from "node:http";

const maxDrainBytes = 8 * 1024 * 1024;
const maxDrainMs = 10_000;

/**
 * The same answer, sent at once but ended only when the rest of the request was taken in: a socket that is closed with
 * unread bytes is reset, and the reset can overtake the answer. After 8 MiB or 10 s the client has had its chance.
 */
export async function answerThenDrain(response: Response, incoming: IncomingMessage): Promise<Response> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  const headers = new Headers(response.headers);
  // With a length the client knows that it has it all while we are still draining.
  headers.set("content-length", String(bytes.byteLength));
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(bytes);
      await drain(incoming);
      controller.close();
    },
    cancel() {
      incoming.destroy();
    },
  });
  return new Response(body, { status: response.status, headers });
}

function drain(incoming: IncomingMessage): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (incoming.complete || incoming.destroyed) {
    incoming.resume();
    return Promise.resolve();
  }
  let drainedBytes = 0;
  const giveUp = () => incoming.socket.destroy();
  const timer = setTimeout(giveUp, maxDrainMs);
  incoming.on("data", (chunk: Buffer) => {
    drainedBytes += chunk.length;
    if (drainedBytes > maxDrainBytes) giveUp();
  });
  for (const event of ["end", "close", "error"] as const) incoming.once(event, () => resolve());
  incoming.resume();
  return promise.finally(() => clearTimeout(timer));
}
