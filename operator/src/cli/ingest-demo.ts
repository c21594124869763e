/** Shows a feed at work: read from the provider, searched, and searched again when the provider says something else. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type SearchEvent, type SourcesResponse, searchResponse, sourcesResponse } from "@pricing-engine/contracts";
import { UserError } from "../runtime/local/user-error.ts";
import type { DemoCaller } from "./demo-caller.ts";
import { examplesDir } from "./options.ts";

type SourceList = SourcesResponse["sources"];

export interface IngestDemoOptions {
  readonly caller: DemoCaller;
  /** Of the provider, when it is the simulated one: it is made to say something else. */
  readonly simulated: string | undefined;
  readonly stop: AbortSignal;
}

const readTimeoutMs = 30_000;
const searchPath = "/search?starts_at=2021-02-01T00:00:00Z&ends_at=2021-07-31T23:59:59Z";

/** @throws UserError with what did not come */
export async function runIngestDemo({ caller, simulated, stop }: IngestDemoOptions): Promise<void> {
  const { call, show, say } = caller;
  const sources = async () => (await call("GET", "/api/v1/sources", sourcesResponse)).sources;
  // Of real ones nobody knows when they answer: they are not waited for.
  if (simulated === undefined) return show("The feeds", "/api/v1/sources", (await sources()).map(short));
  const search = async () => (await call("GET", searchPath, searchResponse)).data.events;
  // A second run finds what the first one stored.
  const isFirst = (events: readonly SearchEvent[]) => events.length >= 3 && !events.some(hasMoved);
  const first = await until(stop, search, isFirst, "the first document is not found");
  await show("Events that a provider's feed names, by time", searchPath, first.map(brief));

  say("");
  say("The provider moves an end, drops an event and adds one on 2021-09-31");
  say(`  $ curl -s -X PUT -d '{"documents": ["<eventList>…"]}' '${simulated}/control/samples'`);
  await setDocument(simulated, await readFile(join(examplesDir, "feeds", "event-list-2.xml"), "utf8"));
  const later = await until(stop, search, (events) => events.some(hasMoved), "what the provider changed is not found");
  await show("Ids stay, and what vanished is still found", searchPath, later.map(brief));
  const refused = ([source]: SourceList) => source?.state === "Healthy" && source.rejected > 0;
  const status = await until(stop, sources, refused, "the source's status does not show the refused plan");
  await show("The source", "/api/v1/sources", status.map(short));
}

async function setDocument(provider: string, document: string): Promise<void> {
  const response = await fetch(`${provider}/control/samples`, {
    method: "PUT",
    body: JSON.stringify({ documents: [document] }),
    signal: AbortSignal.timeout(5000),
  });
  if (!response.ok) throw new UserError(`the simulated provider answered ${response.status}`);
}

function hasMoved({ title, end_time }: SearchEvent): boolean {
  return title === "Los Morancos" && end_time === "21:20:00";
}

async function until<T>(
  stop: AbortSignal,
  look: () => Promise<T>,
  isThere: (found: T) => boolean,
  otherwise: string,
): Promise<T> {
  const deadline = performance.now() + readTimeoutMs;
  for (;;) {
    const found = await look();
    if (isThere(found)) return found;
    if (performance.now() > deadline || stop.aborted) {
      throw new UserError(`${otherwise} after ${readTimeoutMs / 1000} s: ${JSON.stringify(found).slice(0, 400)}`);
    }
    await delay(100);
  }
}

function brief({ id, title, start_date, start_time, end_time, min_price, max_price }: SearchEvent): string {
  return `${id.slice(0, 8)}… ${title} ${start_date} ${start_time}–${end_time} ${min_price}…${max_price}`;
}

function short({ name, state, last_success, plans, rejected }: SourceList[number]): object {
  return { name, state, last_success, plans, rejected };
}
