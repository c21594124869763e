import RequestQueue from "kafkajs/src/network/requestQueue/index.js";

/**
 * kafkajs 2.2 arms a timer with a negative delay after every answer that finds nothing waiting. Node ≥ 24 prints a
 * warning about it, and it is a timer for nothing. The original runs only when there is something to check.
 */
export function patchKafkajs(): void {
  const original = RequestQueue.prototype.scheduleCheckPendingRequests;
  if (Object.hasOwn(original, patched)) return;
  RequestQueue.prototype.scheduleCheckPendingRequests = Object.assign(
    function scheduleCheckPendingRequests(this: RequestQueue): void {
      if (this.pending.length === 0) return;
      // The delay is `throttledUntil - now`: never in the past.
      this.throttledUntil = Math.max(this.throttledUntil, Date.now());
      original.call(this);
    },
    { [patched]: true },
  );
}

const patched = Symbol("patched by pricing-engine");
