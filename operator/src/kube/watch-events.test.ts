import { describe, expect, it } from "vitest";
import { readWatch, type WatchEvent } from "./watch-events.ts";

const metadata = { name: "größe", uid: "a", resourceVersion: "7" };
const added = { type: "ADDED", object: { apiVersion: "v1", kind: "Pod", metadata } };
const bookmark = { type: "BOOKMARK", object: { kind: "Pod", metadata: { resourceVersion: "8" } } };

async function read(text: string, size = 1_000_000): Promise<WatchEvent[]> {
  const bytes = Buffer.from(text);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const events: WatchEvent[] = [];
  for await (const event of readWatch(chunks())) events.push(event);
  return events;
}

it.each([1, 2, 3, 7, 1000])("reads events from chunks of %i bytes", async (size) => {
  const text = `${JSON.stringify(added)}\n\n${JSON.stringify(bookmark)}\n`;
  expect(await read(text, size)).toEqual([
    { type: "added", object: added.object },
    { type: "bookmark", resourceVersion: "8" },
  ]);
});

it("leaves out a last line that was cut off", async () => {
  const line = JSON.stringify(added);
  expect(await read(`${line}\n${line.slice(0, 40)}`)).toHaveLength(1);
  // Whole, but without its end: whether it is whole cannot be known.
  expect(await read(line)).toEqual([]);
});

describe("throws", () => {
  it.each([
    ["no JSON", "<html>\n", { status: 0, reason: "Garbled", retryable: true }],
    ["no event", "{}\n", { reason: "Garbled" }],
    ["an unknown event", `${JSON.stringify({ ...added, type: "NEW" })}\n`, { reason: "Garbled" }],
    ["an object without a uid", `${JSON.stringify({ ...added, object: bookmark.object })}\n`, { reason: "Garbled" }],
    [
      "an expired version",
      `${JSON.stringify({ type: "ERROR", object: { code: 410, reason: "Expired", message: "too old" } })}\n`,
      { status: 410, reason: "Expired" },
    ],
    [
      "too many requests",
      `${JSON.stringify({ type: "ERROR", object: { code: 429, details: { retryAfterSeconds: 3 } } })}\n`,
      { status: 429, retryAfterMs: 3000, retryable: true },
    ],
    ["an error without a word", `${JSON.stringify({ type: "ERROR" })}\n`, { status: 500 }],
  ])("%s", async (_name, text, error) => {
    await expect(read(text)).rejects.toMatchObject({ name: "KubeError", ...error });
  });
});
