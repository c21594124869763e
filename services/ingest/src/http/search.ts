import { Readable } from "node:stream";
import { AppError } from "@pricing-engine/chassis/errors";
import type { HttpApp, HttpContext } from "@pricing-engine/chassis/http";
import { parseQueryString, parseSearchWindow, searchFailureResponse } from "@pricing-engine/search-cache";
import { TooManyStreams } from "../adapters/catalogue.ts";
import type { Search } from "../usecases/search.ts";

const jsonType = "application/json";

/** `GET /search`. Its errors, all of them, have the envelope of the contract: {@link renderSearchError}. */
export function mountSearch(app: HttpApp, { search }: { search: Search }): void {
  app.get("/search", async (c) => {
    const query = parseQueryString(c.req.url);
    if (query === undefined)
      throw new AppError("validation_failed", { detail: "the query is not percent-encoded UTF-8" });
    const parsed = parseSearchWindow(query);
    if (!parsed.ok) throw new AppError("validation_failed", { detail: parsed.message });
    const result = await search(parsed.window);
    if (result.kind === "stream") {
      const stream = Readable.from(result.body, { objectMode: false });
      // Nobody reads the body of an answer whose caller has gone while it waited for its turn.
      const { signal } = c.req.raw;
      const drop = () => stream.destroy();
      signal.addEventListener("abort", drop, { once: true });
      stream.once("close", () => signal.removeEventListener("abort", drop));
      if (signal.aborted) drop();
      return new Response(Readable.toWeb(stream) as ReadableStream, { headers: { "content-type": jsonType } });
    }
    const { answer } = result;
    const headers: Record<string, string> = { "content-type": jsonType, etag: answer.etag };
    if (answer.link !== undefined) headers.link = answer.link;
    return new Response(new Uint8Array(answer.body), { headers });
  });
}

/** For `makeHttpApp`: the envelope of `/search`, and nothing for other paths. */
export function renderSearchError(error: unknown, c: HttpContext): Response | undefined {
  if (c.req.path !== "/search") return undefined;
  return searchFailureResponse(error instanceof TooManyStreams ? new AppError("unavailable") : error);
}
