import net from "node:net";
import postgres from "postgres";
import { PostgresConnectionError } from "./errors.ts";

export type Sql = postgres.Sql;

export interface SessionOptions {
  url: string;
  applicationName: string;
  connectTimeoutMs: number;
  statementTimeoutMs: number;
}

/** One connection, in nobody's hands but its holder's. */
export interface Session {
  sql: Sql;
  /** False once the socket is gone. It never comes back: a session is one socket, so it can hold a lock or a transaction. */
  alive(): boolean;
  /** Called once when the socket is gone. */
  onClose(listener: () => void): void;
  /** Destroys the socket at once, without a farewell: the server rolls back and releases locks. */
  destroy(): void;
  /** Ends in good order. */
  close(): Promise<void>;
}

/** What both the shared client and the single sessions ask of postgres.js. */
export function clientOptions(options: SessionOptions) {
  return {
    connect_timeout: Math.max(1, Math.ceil(options.connectTimeoutMs / 1000)),
    onnotice: () => undefined,
    connection: {
      application_name: options.applicationName,
      statement_timeout: options.statementTimeoutMs,
      TimeZone: "UTC",
      // Compiling a plan takes longer than any query of ours, and a plan that `keyedPlans` forbids, where there is no other, costs enough for it.
      jit: "off",
      // A statement whose client has gone (a deadline destroyed the socket) ends, and frees its locks, within a second.
      client_connection_check_interval: 1000,
    },
  };
}

/**
 * Opens nothing yet: the socket is made by the first query.
 *
 * postgres.js has no time-out for a query, and its own way of closing says goodbye to a peer that may not answer for
 * minutes. So each session is a client with `max: 1` whose socket is ours: it can be destroyed. And because the client would
 * silently reconnect, running the rest of a transaction outside of it, the socket is handed out once and never again.
 */
export function makeSession(options: SessionOptions, onNotify: () => void = () => undefined): Session {
  let socket: net.Socket | undefined;
  let ended = false;
  const listeners: (() => void)[] = [];
  const finish = (): void => {
    ended = true;
    for (const listener of listeners.splice(0)) {
      listener();
    }
  };

  const openOnce = (resolved: { host: string[]; port: number[]; path?: string | false }): net.Socket => {
    if (socket !== undefined || ended) {
      throw new PostgresConnectionError("POSTGRES_CONNECTION_LOST", "the connection to Postgres was lost");
    }
    const host = resolved.host[0] ?? "localhost";
    const port = resolved.port[0] ?? 5432;
    socket = typeof resolved.path === "string" ? net.connect(resolved.path) : net.connect({ host, port });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    // postgres.js reads `host` for the server name of TLS.
    return Object.assign(socket, { host, port });
  };

  // `socket` and `onnotify` are options of postgres.js that its types do not name.
  const withSocket = {
    ...clientOptions(options),
    max: 1,
    // Both would end a connection in the middle of a transaction that sends BEGIN itself.
    max_lifetime: null,
    no_subscribe: true,
    // Not the socket's own event: under TLS postgres.js removes all listeners of the socket it was given.
    onclose: finish,
    onnotify: onNotify,
    socket: openOnce,
  };
  const sql: Sql = postgres(options.url, withSocket);

  return {
    sql,
    alive: () => !ended && socket?.destroyed !== true,
    onClose(listener) {
      if (ended) {
        listener();
      } else {
        listeners.push(listener);
      }
    },
    destroy() {
      socket?.destroy(
        new PostgresConnectionError("POSTGRES_CONNECTION_LOST", "the connection to Postgres was discarded"),
      );
      // Rejects what is queued; the socket is gone already, so there is nothing to wait for.
      sql.end({ timeout: 0 }).catch(() => undefined);
      finish();
    },
    async close() {
      await sql.end({ timeout: 5 });
      socket?.destroy();
      finish();
    },
  };
}
