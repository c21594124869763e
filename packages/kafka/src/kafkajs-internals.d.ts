declare module "kafkajs/src/network/requestQueue/index.js" {
  class RequestQueue {
    pending: unknown[];
    throttledUntil: number;
    push(request: { entry: { apiName: string; correlationId: number } }): void;
    /** By correlation id, the oldest first. */
    inflight: Map<number, unknown>;
    createSocketRequest(pushed: { entry: { correlationId: number } }): { timeoutHandler: () => void };
    scheduleCheckPendingRequests(): void;
  }
  export = RequestQueue;
}

declare module "kafkajs/src/network/connection.js" {
  import type { Socket } from "node:net";
  import type RequestQueue from "kafkajs/src/network/requestQueue/index.js";

  class Connection {
    constructor(options: object);
    send(call: { request: object; response: object }): Promise<unknown>;
    disconnect(): Promise<unknown>;
    requestQueue: RequestQueue;
    socket: Socket | undefined;
    isConnected(): boolean;
    connect(): Promise<unknown>;
  }
  export = Connection;
}

declare module "kafkajs/src/producer/partitioners/default/murmur2.js" {
  function murmur2(key: string | Buffer): number;
  export = murmur2;
}

declare module "kafkajs/src/protocol/recordBatch/crc32C/index.js" {
  function crc32C(bytes: Buffer): number;
  export = crc32C;
}

declare module "kafkajs/src/protocol/requests/produce/index.js" {
  interface ProduceRequest {
    encode(): Promise<unknown>;
    /** Undefined for records that are to be compressed. */
    encodeInto: ((encoder: unknown) => void) | undefined;
  }
  const produce: {
    protocol(choice: { version: number }): (options: object) => { request: ProduceRequest };
  };
  export = produce;
}

declare module "kafkajs/src/protocol/request.js" {
  function createRequest(options: object): Promise<{ buffer: Buffer }>;
  export = createRequest;
}

declare module "kafkajs/src/protocol/encoder.js" {
  class Encoder {}
  export = Encoder;
}
