declare module "kafkajs/src/network/requestQueue/index.js" {
  class RequestQueue {
    pending: unknown[];
    throttledUntil: number;
    push(request: { entry: { apiName: string } }): void;
    scheduleCheckPendingRequests(): void;
  }
  export = RequestQueue;
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
