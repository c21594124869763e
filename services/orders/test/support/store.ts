import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** As much of an S3 server as receipts need, which can be told to misbehave; a real one is in test/e2e/receipts.test.ts. */
export interface Store extends AsyncDisposable {
  readonly env: Record<string, string>;
  /** By key, with the bucket. */
  readonly objects: ReadonlyMap<string, string>;
  /** `refuses`: what is put there is at fault; `full`: the server is; `away`: it answers nobody. */
  is(state: "well" | "refuses" | "full" | "away"): void;
}

type Answer = { status: number; code?: string };

export async function startStore(): Promise<Store> {
  const objects = new Map<string, string>();
  let state: Parameters<Store["is"]>[0] = "well";

  const answerTo = async (request: IncomingMessage): Promise<Answer> => {
    const { pathname: key } = new URL(request.url ?? "/", "http://store");
    if (request.method === "DELETE") {
      objects.delete(key);
      return { status: 204 };
    }
    if (request.method !== "PUT") return { status: 405, code: "MethodNotAllowed" };
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    if (state === "refuses") return { status: 400, code: "InvalidRequest" };
    if (state === "full") return { status: 507, code: "XMinioStorageFull" };
    if (request.headers["if-none-match"] === "*" && objects.has(key))
      return { status: 412, code: "PreconditionFailed" };
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
  return {
    env: {
      RECEIPTS_S3_ENDPOINT: `http://127.0.0.1:${port}`,
      RECEIPTS_S3_BUCKET: "receipts",
      RECEIPTS_S3_ACCESS_KEY_ID: "id",
      RECEIPTS_S3_SECRET_ACCESS_KEY: "secret",
    },
    objects,
    is(next) {
      state = next;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
