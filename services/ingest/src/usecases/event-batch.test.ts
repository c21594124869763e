import { describe, expect, it } from "vitest";
import { makeEventBatch } from "./event-batch.ts";

function event(id: string) {
  return { kind: "plan", id, contentHash: `hash of ${id}` } as const;
}

function textsOf(batch: ReturnType<typeof makeEventBatch>): string[] {
  return batch.events.map(({ message }) => message.toString("utf8"));
}

describe("makeEventBatch", () => {
  it("keeps each message apart, whatever its characters take", () => {
    const batch = makeEventBatch();
    const texts = ["plain", "Pau Gasol – ñ €", "🎟️".repeat(50), ""];
    texts.forEach((text, index) => {
      batch.add(event(`${index}`), text);
    });
    expect(textsOf(batch)).toEqual(texts);
    expect(batch.events.map(({ id, kind, contentHash }) => ({ id, kind, contentHash }))).toEqual(
      texts.map((_, index) => event(`${index}`)),
    );
  });

  it("is full by bytes and by events", () => {
    const bySize = makeEventBatch();
    bySize.add(event("1"), "x".repeat(255 * 1024));
    expect(bySize.isFull).toBe(false);
    bySize.add(event("2"), "x".repeat(1024));
    expect(bySize.isFull).toBe(true);

    const byCount = makeEventBatch();
    for (let index = 0; index < 199; index += 1) byCount.add(event(`${index}`), "x");
    expect(byCount.isFull).toBe(false);
    byCount.add(event("199"), "x");
    expect(byCount.isFull).toBe(true);
  });

  it("takes more than it has room for, and is empty once cleared", () => {
    const batch = makeEventBatch();
    const texts = Array.from({ length: 12 }, (_, index) => String.fromCharCode(97 + index).repeat(300_000));
    for (const round of [1, 2]) {
      for (const text of texts) batch.add(event(`${round}`), text);
      expect(textsOf(batch)).toEqual(texts);
      batch.clear();
      expect(batch.events).toEqual([]);
      expect(batch.isFull).toBe(false);
    }
  });
});
