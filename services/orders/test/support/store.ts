import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { probeName, type S3Place } from "../../src/adapters/receipts-in-s3.ts";

/** As much of an S3 server as receipts need, which can be told to misbehave; a real one is in test/e2e/receipts.test.ts. */
export interface Store extends AsyncDisposable {
  readonly place: S3Place;
  readonly env: Record<string, string>;
  /** By key, with the bucket. */
  readonly objects: ReadonlyMap<string, string>;
  /** Requests with a condition, whatever they were answered. */
  conditional(): number;
  /**
   * `refuses`: an order's object is at fault; `full`: the server is; `quota`: the same, told as of an object; `hangs`: it reads and says nothing;
   * `away`: it answers nobody; `old`: it knows no conditions; `close`: nor does it tell its keys what is missing.
   */
  is(state: "well" | "refuses" | "full" | "quota" | "hangs" | "away" | "old" | "close"): void;
}

type Answer = { status: number; code?: string };

export async function startStore(): Promise<Store> {
  const objects = new Map<string, string>();
  let state: Parameters<Store["is"]>[0] = "well";
  let conditional = 0;

  const answerTo = async (request: IncomingMessage): Promise<Answer> => {
    const { pathname: key } = new URL(request.url ?? "/", "http://store");
    if (request.method === "DELETE") {
      objects.delete(key);
      return { status: 204 };
    }
    if (request.method === "HEAD") return { status: objects.has(key) ? 200 : state === "close" ? 403 : 404 };
    if (request.method !== "PUT") return { status: 405, code: "MethodNotAllowed" };
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    if (state === "refuses" && !key.endsWith(`/${probeName}`)) return { status: 400, code: "InvalidRequest" };
    // Room for very little is left.
    if (state === "quota" && chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0) > 100)
      return { status: 400, code: "XMinioAdminBucketQuotaExceeded" };
    if (state === "hangs") await once(request, "close");
    if (state === "full") return { status: 507, code: "XMinioStorageFull" };
    if (request.headers["if-none-match"] === "*") {
      conditional += 1;
      if (state === "old" || state === "close") return { status: 501, code: "NotImplemented" };
      if (objects.has(key)) return { status: 412, code: "PreconditionFailed" };
    }
    objects.set(key, Buffer.concat(chunks).toString());
    return { status: 200 };
  };
  const server = createServer((request, response) => {
    if (state === "away") return void request.socket.destroy();
    answerTo(request).then(
      ({ status, code }) => {
        const xml = code === undefined ? "" : `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`;
        response.writeHead(status, { "content-type": "application/xml" }).end(xml);
      },
      () => request.socket.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const place: S3Place = {
    endpoint: `http://127.0.0.1:${port}`,
    bucket: "receipts",
    region: "us-east-1",
    accessKeyId: "id",
    secretAccessKey: "secret",
  };
  return {
    place,
    env: {
      RECEIPTS_S3_ENDPOINT: place.endpoint,
      RECEIPTS_S3_BUCKET: place.bucket,
      RECEIPTS_S3_ACCESS_KEY_ID: place.accessKeyId,
      RECEIPTS_S3_SECRET_ACCESS_KEY: place.secretAccessKey,
    },
    objects,
    conditional: () => conditional,
    is(next) {
      state = next;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
