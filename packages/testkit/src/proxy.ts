import { once } from "node:events";
import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";

/** A TCP proxy in the path between a client and a server, with faults to switch on. */
export interface TcpProxy extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Connections open through it. */
  connections(): number;
  /** Resets every connection, and refuses new ones until `restore`. */
  cut(): void;
  /** Holds every chunk back for so long, both ways. */
  delay(delayMs: number): void;
  /** Connections stay open and are accepted, but no byte passes until `restore`. */
  blackhole(): void;
  /** No byte passes through what is open now, until `restore`; what comes later is well. */
  hang(): void;
  /** No fault any more; what was held back passes now. */
  restore(): void;
  close(): Promise<void>;
}

type Fault =
  | { readonly kind: "none" }
  | { readonly kind: "cut" }
  | { readonly kind: "delay"; readonly delayMs: number }
  | { readonly kind: "blackhole" };

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** `target` is `host:port` or a URL with both. */
export async function startTcpProxy(options: { readonly target: string }): Promise<TcpProxy> {
  const { hostname, port } = new URL(options.target.includes("://") ? options.target : `tcp://${options.target}`);
  const pairs = new Set<Pair>();
  const hanging = new Set<Pair>();
  let fault: Fault = { kind: "none" };

  const destroy = (pair: Pair): void => {
    pairs.delete(pair);
    hanging.delete(pair);
    pair.client.resetAndDestroy();
    pair.server.resetAndDestroy();
  };

  const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    if (fault.kind === "cut") {
      client.resetAndDestroy();
      return;
    }
    const server = createConnection({ host: hostname, port: Number(port), allowHalfOpen: true, noDelay: true });
    const pair = { client, server };
    pairs.add(pair);
    const isHeld = () => fault.kind === "blackhole" || hanging.has(pair);
    relay(client, server, () => fault, isHeld);
    relay(server, client, () => fault, isHeld);
    if (fault.kind === "blackhole") pausePair(pair);
    client.once("error", () => destroy(pair));
    server.once("error", () => destroy(pair));
    client.once("close", () => destroy(pair));
    server.once("close", () => {
      if (!client.writableFinished) destroy(pair);
    });
  });
  listener.listen({ port: 0, host: "127.0.0.1" });
  await once(listener, "listening");

  const change = (next: Fault): void => {
    const wasHolding = fault.kind === "blackhole" || hanging.size > 0;
    fault = next;
    hanging.clear();
    if (next.kind === "blackhole") for (const pair of pairs) pausePair(pair);
    else if (next.kind === "cut") for (const pair of pairs) destroy(pair);
    else if (wasHolding) for (const pair of pairs) resumePair(pair);
  };
  const hang = (): void => {
    for (const pair of pairs) {
      hanging.add(pair);
      pausePair(pair);
    }
  };
  const close = async (): Promise<void> => {
    if (!listener.listening) return;
    const closed = once(listener, "close");
    listener.close();
    for (const pair of pairs) destroy(pair);
    await closed;
  };

  return {
    host: "127.0.0.1",
    port: (listener.address() as AddressInfo).port,
    connections: () => pairs.size,
    cut: () => change({ kind: "cut" }),
    delay: (delayMs) => change({ kind: "delay", delayMs }),
    blackhole: () => change({ kind: "blackhole" }),
    hang,
    restore: () => change({ kind: "none" }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Passes chunks on in order; each one's fault is the one in force when it came. */
function relay(from: Socket, to: Socket, currentFault: () => Fault, isHeld: () => boolean): void {
  // The chain keeps the order when a delay ends while chunks are still held.
  let last = Promise.resolve();
  const after = (act: () => void): void => {
    const fault = currentFault();
    const wait = fault.kind === "delay" ? new Promise((resolve) => setTimeout(resolve, fault.delayMs)) : undefined;
    last = last.then(() => wait).then(act);
  };
  from.on("data", (chunk) =>
    after(() => {
      if (to.writable && !to.write(chunk)) {
        from.pause();
        to.once("drain", () => {
          if (!isHeld()) from.resume();
        });
      }
    }),
  );
  from.on("end", () => after(() => to.end()));
}

/** Unread bytes fill the kernel's buffers, and TCP itself holds the sender back. */
function pausePair({ client, server }: Pair): void {
  client.pause();
  server.pause();
}

function resumePair({ client, server }: Pair): void {
  client.resume();
  server.resume();
}
