import { KubeError, type StatusObject } from "./kube-error.ts";
import type { KubeObject } from "./types.ts";

/** `bookmark`: nothing changed up to that version. */
export type WatchEvent =
  | { readonly type: "added" | "modified" | "deleted"; readonly object: KubeObject }
  | { readonly type: "bookmark"; readonly resourceVersion: string };

const changes = { ADDED: "added", MODIFIED: "modified", DELETED: "deleted" } as const;

/** @throws KubeError for an error in the stream, and for a line that is no event */
export async function* readWatch(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<WatchEvent> {
  for await (const line of linesOf(chunks)) {
    const event = parseEvent(line);
    if (event !== undefined) yield event;
  }
}

/** A last line without its end was cut off in the middle: it will come again. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest: string[] = [];
  for await (const chunk of chunks) {
    const parts = decoder.decode(chunk, { stream: true }).split("\n");
    const last = parts.pop() ?? "";
    for (const part of parts) {
      yield rest.length === 0 ? part : rest.join("") + part;
      rest = [];
    }
    if (last !== "") rest.push(last);
  }
}

function parseEvent(line: string): WatchEvent | undefined {
  if (line.trim() === "") return undefined;
  const garbled = (cause?: unknown): KubeError =>
    new KubeError(`the watch sent ${JSON.stringify(line.slice(0, 100))}`, { status: 0, reason: "Garbled", cause });
  let event: { readonly type?: unknown; readonly object?: unknown };
  try {
    event = JSON.parse(line);
  } catch (error) {
    throw garbled(error);
  }
  if (event.type === "ERROR") {
    const { code, message, reason, details } = (event.object ?? {}) as StatusObject;
    throw new KubeError(`the watch was ended: ${message ?? "without a reason"}`, {
      status: code ?? 500,
      reason: reason ?? "InternalError",
      retryAfterMs: details?.retryAfterSeconds === undefined ? undefined : details.retryAfterSeconds * 1000,
    });
  }
  const object = event.object as KubeObject | undefined;
  const resourceVersion = object?.metadata?.resourceVersion;
  if (object === undefined || resourceVersion === undefined) throw garbled();
  if (event.type === "BOOKMARK") return { type: "bookmark", resourceVersion };
  const type = Object.entries(changes).find(([name]) => name === event.type)?.[1];
  if (type === undefined || object.metadata.uid === undefined) throw garbled();
  return { type, object };
}
