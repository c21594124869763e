import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { deliver } from "./deliver.ts";
import type { PendingRow } from "./port.ts";

class Outage extends Error {}

function makeRows(aggregates: readonly string[]): PendingRow[] {
  return aggregates.map((aggregate, index) => ({
    id: BigInt(index),
    aggregate,
    topic: "t",
    key: null,
    payload: "",
    headers: {},
    createdAtMs: 0,
    attempts: 0,
  }));
}

const isOutage = (error: unknown): boolean => error instanceof Outage;

describe("deliver", () => {
  it("sends a batch that is taken once", async () => {
    const sent: number[] = [];
    const rows = makeRows(["a", "b", "a"]);
    const delivery = await deliver(rows, async (part) => void sent.push(part.length), isOutage);
    expect(sent).toEqual([3]);
    expect(delivery.done.toSorted()).toEqual([0n, 1n, 2n]);
    expect(delivery.faults).toEqual([]);
  });

  it("stops at an outage and keeps what was acknowledged", async () => {
    let sends = 0;
    const delivery = await deliver(
      makeRows(["a", "b", "c", "d"]),
      async (part) => {
        sends += 1;
        if (sends === 1) {
          throw new Error("one of them is bad");
        }
        if (part.some(({ aggregate }) => aggregate === "c")) {
          throw new Outage("gone");
        }
      },
      isOutage,
    );
    expect(delivery).toMatchObject({ done: [0n, 1n], faults: [], outage: expect.any(Outage) as Outage });
  });

  it("finds exactly the first bad row of each aggregate, sends all before it and none after", async () => {
    const batches = fc.array(fc.record({ aggregate: fc.constantFrom("a", "b", "c", "d", "e"), bad: fc.boolean() }), {
      minLength: 1,
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(batches, async (batch) => {
        const rows = makeRows(batch.map(({ aggregate }) => aggregate));
        const bad = new Set(rows.filter((_, index) => batch[index]?.bad).map(({ id }) => id));
        const firstBad = new Map<string, bigint>();
        for (const row of rows) {
          if (bad.has(row.id) && !firstBad.has(row.aggregate)) {
            firstBad.set(row.aggregate, row.id);
          }
        }
        const delivery = await deliver(
          rows,
          async (part) => {
            if (part.some(({ id }) => bad.has(id))) {
              throw new Error("bad");
            }
          },
          isOutage,
        );
        const byId = (a: bigint, b: bigint) => (a < b ? -1 : 1);
        expect(delivery.faults.map(({ id }) => id).toSorted(byId)).toEqual([...firstBad.values()].toSorted(byId));
        const before = rows.filter(({ id, aggregate }) => id < (firstBad.get(aggregate) ?? BigInt(rows.length)));
        expect(delivery.done.toSorted(byId)).toEqual(before.map(({ id }) => id));
      }),
    );
  });
});
