import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { setTimeout as work } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { type FeedAnswer, makeFeedClient } from "../src/adapters/feed-client.ts";

type Validators = { etag?: string; lastModified?: string };

async function withProvider(
  answer: RequestListener,
  use: (fetch: (asked: Validators) => Promise<FeedAnswer>) => Promise<void>,
): Promise<void> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = makeFeedClient();
  const common = { token: undefined, timeoutMs: 5_000, signal: new AbortController().signal };
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    await use(({ etag, lastModified }) => client.fetch({ ...common, url, etag, lastModified }));
  } finally {
    await client.close();
    server.close();
  }
}

it("takes 304 for an answer only of whoever asked whether it changed", async () => {
  await withProvider(
    (_incoming, outgoing) => outgoing.writeHead(304).end(),
    async (fetch) => {
      expect(await fetch({ etag: '"v1"' })).toEqual({ kind: "unchanged" });
      expect(await fetch({ lastModified: "Thu, 01 Jan 2026 00:00:00 GMT" })).toEqual({ kind: "unchanged" });
      expect(await fetch({})).toMatchObject({ kind: "refused", error: "http_status: 304" });
    },
  );
});

it.each([
  ["Thu, 01 Jan 2026 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 GMT", undefined],
  ["Thu, 01 Jan 2026 00:00:05 GMT", "Thu, 01 Jan 2026 00:00:00 GMT", undefined],
  ["Thu, 01 Jan 2026 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:01 GMT", "Thu, 01 Jan 2026 00:00:00 GMT"],
  // Who says no time of day cannot be held to it.
  ["Thu, 01 Jan 2026 00:00:00 GMT", undefined, "Thu, 01 Jan 2026 00:00:00 GMT"],
])("of a document last modified %s and sent %s keeps the time %s to ask with", async (lastModified, date, kept) => {
  await withProvider(
    (_incoming, outgoing) => {
      outgoing.sendDate = false;
      outgoing.writeHead(200, { "last-modified": lastModified, ...(date === undefined ? {} : { date }) }).end("[]");
    },
    async (fetch) => {
      const answer = await fetch({});
      expect(answer).toMatchObject({ kind: "document", lastModified: kept });
      if (answer.kind === "document") await buffer(answer.body);
    },
  );
});

// Does not compress, so that the share of the bytes is about that of the text.
const document = Buffer.from(Array.from({ length: 80_000 }, (_, n) => Math.imul(n, 2_654_435_761).toString(36)).join());
const zipped = gzipSync(document);

it.each([
  ["plain", document, {}, document.length * 0.9],
  ["compressed", zipped, { "content-encoding": "gzip" }, document.length * 0.89],
] as const)(
  "gives a busy reader all that came of a %s document before it broke off",
  async (_name, body, more, least) => {
    const part = body.subarray(0, Math.ceil(body.length * 0.9));
    await withProvider(
      (_incoming, outgoing) => {
        outgoing.writeHead(200, { "content-length": body.length, ...more });
        outgoing.write(part, () => outgoing.destroy());
      },
      async (fetch) => {
        const answer = await fetch({});
        if (answer.kind !== "document") throw new Error(answer.kind);
        let bytes = 0;
        const read = async (): Promise<void> => {
          for await (const chunk of answer.body) {
            bytes += chunk.length;
            await work(30);
          }
        };
        await expect(read()).rejects.toThrow();
        expect(bytes).toBeGreaterThanOrEqual(Math.floor(least));
      },
    );
  },
);
