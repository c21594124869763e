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
  export default function murmur2(key: string | Buffer): number;
}

declare module "kafkajs/src/protocol/recordBatch/crc32C/index.js" {
  export default function crc32C(bytes: Buffer): number;
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
  export default produce;
}

declare module "kafkajs/src/protocol/request.js" {
  export default function createRequest(options: object): Promise<{ buffer: Buffer }>;
}
