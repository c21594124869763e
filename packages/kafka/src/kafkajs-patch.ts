import type { Socket } from "node:net";
import Connection from "kafkajs/src/network/connection.js";
import RequestQueue from "kafkajs/src/network/requestQueue/index.js";

/** What kafkajs 2.2 does wrong for every client, mended once for the process. */
export function patchKafkajs(): void {
  if (isPatched) return;
  isPatched = true;
  armNoTimerForNothing();
  closeWhatDoesNotAnswer();
}

let isPatched = false;

/**
 * It arms a timer with a negative delay after every answer that finds nothing waiting. Node ≥ 24 prints a warning about it, and
 * it is a timer for nothing. The original runs only when there is something to check.
 */
function armNoTimerForNothing(): void {
  const original = RequestQueue.prototype.scheduleCheckPendingRequests;
  RequestQueue.prototype.scheduleCheckPendingRequests = function scheduleCheckPendingRequests(): void {
    if (this.pending.length === 0) return;
    // The delay is `throttledUntil - now`: never in the past.
    this.throttledUntil = Math.max(this.throttledUntil, Date.now());
    original.call(this);
  };
}

/**
 * After a request without an answer it goes on with the same connection. When a broker's node is gone nobody tells us, and the kernel
 * gives up after a quarter of an hour. So the connection is closed, as the Java client does it: the next request opens another.
 *
 * A broker answers a connection in order: what waits behind a member's long wait to join says nothing about the connection.
 */
function closeWhatDoesNotAnswer(): void {
  const connections = new WeakMap<RequestQueue, Connection>();
  connectAfresh((connection) => connections.set(connection.requestQueue, connection));
  const create = RequestQueue.prototype.createSocketRequest;
  RequestQueue.prototype.createSocketRequest = function createSocketRequest(pushed) {
    const request = create.call(this, pushed);
    const forget = request.timeoutHandler;
    request.timeoutHandler = () => {
      const [oldest] = this.inflight.keys();
      forget();
      const socket = connections.get(this)?.socket;
      if (socket !== undefined && oldest === pushed.entry.correlationId) abort(socket);
    };
    return request;
  };
}

/** A connection object is used again: without what its last socket had begun to say, and by all who want it at once. */
function connectAfresh(onConnect: (connection: Connection) => void): void {
  const connecting = new WeakMap<Connection, Promise<unknown>>();
  const { connect } = Connection.prototype;
  Connection.prototype.connect = function connectOnce(): Promise<unknown> {
    const underWay = connecting.get(this);
    if (underWay !== undefined) return underWay;
    onConnect(this);
    if (!this.isConnected()) Object.assign(this, { chunks: [], bytesBuffered: 0, bytesNeeded: 4, authHandlers: null });
    const connected = connect
      .call(this)
      .catch((error: unknown) => {
        // Left to itself it might still be let in, minutes later, and its end be taken for the end of the one in use.
        this.socket?.destroy();
        throw error;
      })
      .finally(() => connecting.delete(this));
    connecting.set(this, connected);
    return connected;
  };
}

/** What the kernel has not sent yet is not to arrive behind what is sent again. */
function abort(socket: Socket): void {
  const error = new Error("a request was not answered in time");
  // Of TLS, which does not know how to reset.
  if ("encrypted" in socket) {
    socket.destroy(error);
    return;
  }
  socket.resetAndDestroy();
  // Without it nobody hears of the end.
  socket.emit("error", error);
}
