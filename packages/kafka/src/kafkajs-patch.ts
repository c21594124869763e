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
 */
function closeWhatDoesNotAnswer(): void {
  const connections = new WeakMap<RequestQueue, Connection>();
  const { connect } = Connection.prototype;
  Connection.prototype.connect = function connectAndRemember(): Promise<unknown> {
    connections.set(this.requestQueue, this);
    return connect.call(this);
  };
  const create = RequestQueue.prototype.createSocketRequest;
  RequestQueue.prototype.createSocketRequest = function createSocketRequest(pushed) {
    const request = create.call(this, pushed);
    const forget = request.timeoutHandler;
    request.timeoutHandler = () => {
      forget();
      connections.get(this)?.socket?.destroy(new Error("a request was not answered in time"));
    };
    return request;
  };
}
