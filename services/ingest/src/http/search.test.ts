import { etagResponses, makeHttpApp, serveHttp } from "@pricing-engine/chassis/http";
import { makeLifecycle } from "@pricing-engine/chassis/lifecycle";
import { makeLogger } from "@pricing-engine/chassis/log";
import { type SearchCache, searchFailureResponse } from "@pricing-engine/search-cache";
import { eventually } from "@pricing-engine/testkit";
import { expect, it } from "vitest";
import { type Catalogue, TooManyStreams } from "../adapters/catalogue.ts";
import { makeTurns } from "../adapters/turns.ts";
import { makeSearch } from "../usecases/search.ts";
import { mountSearch } from "./search.ts";

const row = (index: number) => ({ id: String(index), startsAtMs: index, event: `{"id":${index}}` });
const rows = Array.from({ length: 2_001 }, (_, index) => row(index));

/** A cache that keeps nothing, and a catalogue in memory with one turn for long answers. */
function makePorts() {
  const turns = makeTurns({ places: 1, waiting: 50, patienceMs: 5_000 });
  let asked = 0;
  const cache: SearchCache = {
    find: async () => undefined,
    readThrough: async (_window, compute) => (await compute()).answer,
    markRevision: async () => undefined,
  };
  const catalogue: Catalogue = {
    readPage: async (_window, take) => ({ revision: 1, rows: rows.slice(0, take) }),
    async readAll() {
      asked += 1;
      const release = await turns.take();
      if (release === undefined) throw new TooManyStreams();
      return (async function* () {
        try {
          for (let page = 0; page < 40; page += 1) yield rows;
        } finally {
          release();
        }
      })();
    },
  };
  return { cache, catalogue, turns, asked: () => asked };
}

it("gives the turn of a long answer back, whenever its reader goes away", async () => {
  const logger = makeLogger({ name: "test", level: "fatal" });
  const lifecycle = makeLifecycle({ logger, graceMs: 2_000 });
  const app = makeHttpApp({ logger, name: "test", renderError: searchFailureResponse });
  app.get("*", etagResponses());
  const { asked, turns, ...ports } = makePorts();
  mountSearch(app, { search: makeSearch({ ...ports, digest: (text) => text.slice(0, 32).padEnd(32, "0") }) });
  const { port } = await serveHttp({ app, port: 0, host: "127.0.0.1", lifecycle });
  const url = `http://127.0.0.1:${port}/search`;
  try {
    const first = await turns.take();
    const leave = new AbortController();
    const leaving = Array.from({ length: 5 }, (_, index) =>
      fetch(`${url}?starts_at=2033-01-01T00:00:0${index}Z`, { signal: leave.signal }).catch(() => undefined),
    );
    await eventually(() => asked() === 5);
    leave.abort();
    await Promise.all(leaving);
    first?.();
    const whole = await fetch(url);
    const { data } = (await whole.json()) as { data: { events: unknown[] } };
    expect(data.events).toHaveLength(40 * rows.length);

    // In the middle of the answer.
    const reader = (await fetch(url)).body?.getReader();
    await reader?.read();
    await reader?.cancel();
    expect((await (await fetch(url)).text()).endsWith(']},"error":null}')).toBe(true);
  } finally {
    await lifecycle.shutdown("the test is over");
  }
});
