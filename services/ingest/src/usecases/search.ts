import {
  nextPage,
  type SearchAnswer,
  type SearchCache,
  type SearchWindow,
  windowKey,
} from "@pricing-engine/search-cache";
import type { Catalogue } from "../adapters/catalogue.ts";
import type { SearchRow } from "../adapters/search-store.ts";
import type { Digest } from "../domain/identity.ts";

export type SearchResult =
  | { readonly kind: "answer"; readonly answer: SearchAnswer }
  /** Too much to hold: the pieces of the body, as they are read. */
  | { readonly kind: "stream"; readonly body: AsyncIterable<Uint8Array> };

export type Search = (window: SearchWindow) => Promise<SearchResult>;

/** Events that an answer may have to be made, and kept, as one piece. */
const maxBufferedRows = 2_000;
const open = '{"data":{"events":[';
const close = ']},"error":null}';

/** An answer of `/search`: the kept bytes, else read anew; equal questions at the same moment are read once. */
export function makeSearch(deps: { cache: SearchCache; catalogue: Catalogue; digest: Digest }): Search {
  const { cache, catalogue, digest } = deps;
  const flights = new Map<string, Promise<SearchResult>>();

  async function run(window: SearchWindow): Promise<SearchResult> {
    const { limit } = window;
    const take = limit === undefined ? maxBufferedRows + 1 : limit + 1;
    try {
      const answer = await cache.readThrough(window, async () => {
        const { revision, rows } = await catalogue.readPage(window, take);
        if (limit === undefined && rows.length > maxBufferedRows) throw new TooLarge();
        return { revision, answer: toAnswer(window, rows) };
      });
      return { kind: "answer", answer };
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error;
      return { kind: "stream", body: await begun(encodeStream(await catalogue.readAll(window, maxBufferedRows))) };
    }
  }

  function toAnswer(window: SearchWindow, rows: readonly SearchRow[]): SearchAnswer {
    const { limit } = window;
    const shown = limit === undefined ? rows : rows.slice(0, limit);
    const last = shown.at(-1);
    const link =
      last === undefined || shown.length === rows.length ? undefined : `<${nextPage(window, last)}>; rel="next"`;
    const text = `${open}${shown.map(({ event }) => event).join(",")}${close}`;
    // The link belongs to the answer: the same events may come to have a next page.
    return { etag: `"${digest(`${link ?? ""}\n${text}`).slice(0, 22)}"`, link, body: Buffer.from(text) };
  }

  return (window) => {
    const key = windowKey(window);
    const running = flights.get(key);
    // A stream has one reader; who joins one reads on its own.
    if (running !== undefined) return running.then((result) => (result.kind === "stream" ? run(window) : result));
    const flight = run(window).finally(() => flights.delete(key));
    flights.set(key, flight);
    return flight;
  };
}

class TooLarge extends Error {}

/**
 * The stream with its first piece read: what fails until then is an error with a status, and a generator that has begun is one
 * whose `finally` runs when its reader goes away, even one who never read.
 */
async function begun(stream: AsyncGenerator<Uint8Array, void>): Promise<AsyncIterable<Uint8Array>> {
  let first: IteratorResult<Uint8Array, void> | undefined = await stream.next();
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const piece = first ?? (await stream.next());
        first = undefined;
        return piece;
      },
      async return() {
        await stream.return();
        return { done: true, value: undefined };
      },
    }),
  };
}

async function* encodeStream(pages: AsyncIterable<readonly SearchRow[]>): AsyncGenerator<Uint8Array, void> {
  let begun = false;
  for await (const rows of pages) {
    const text = rows.map(({ event }) => event).join(",");
    yield Buffer.from(begun ? `,${text}` : open + text);
    begun = true;
  }
  yield Buffer.from(begun ? close : open + close);
}
