declare module "kafkajs/src/network/requestQueue/index.js" {
  class RequestQueue {
    pending: unknown[];
    throttledUntil: number;
    push(request: { entry: { apiName: string } }): void;
    scheduleCheckPendingRequests(): void;
  }
  export = RequestQueue;
}
