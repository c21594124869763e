import { expect, it } from "vitest";
import type { OutboxRow } from "./append.ts";
import type { OutboxPort, PendingRow } from "./port.ts";

/** What the contract suite needs of a store, besides claiming. Faults: 2 park a row, and the wait between them is 0. */
export interface ContractSubject {
  port: OutboxPort;
  /** Begins a writing transaction; resolves when its rows have their ids. */
  append(rows: OutboxRow[]): Promise<{ commit(): Promise<void>; rollBack(): Promise<void> }>;
  parkedIds(): Promise<bigint[]>;
}

const row = (aggregate: string, payload: string, sink = "kafka"): OutboxRow => ({
  aggregate,
  sink,
  topic: "prices",
  key: null,
  payload,
  headers: { origin: payload },
});

/** Every store of the relay passes this, the simulated one and the real one. */
export function describeOutboxPort(makeSubject: () => Promise<ContractSubject>): void {
  const commit = async (subject: ContractSubject, ...rows: OutboxRow[]): Promise<void> =>
    (await subject.append(rows)).commit();

  const take = async (subject: ContractSubject, sink = "kafka", limit = 100): Promise<string[]> => {
    const taken: string[] = [];
    await subject.port.claim(sink, limit, async (rows) => {
      taken.push(...rows.map(({ payload }) => payload));
      return { done: rows.map(({ id }) => id), faults: [] };
    });
    return taken;
  };

  /** The store may hand out a part of what is there (half of the buckets); this goes on until nothing is left. */
  const takeAll = async (subject: ContractSubject, limit = 100): Promise<string[]> => {
    const all: string[] = [];
    for (
      let taken = await take(subject, "kafka", limit);
      taken.length > 0;
      taken = await take(subject, "kafka", limit)
    ) {
      all.push(...taken);
    }
    return all;
  };

  it("hands out what is committed, whole and once, and nothing else", async () => {
    const subject = await makeSubject();
    expect(await take(subject)).toEqual([]);
    const open = await subject.append([row("a", "a1"), row("b", "b1")]);
    expect(await takeAll(subject)).toEqual([]);
    await open.commit();
    const rolledBack = await subject.append([row("c", "c1")]);
    await rolledBack.rollBack();
    const seen: PendingRow[] = [];
    await subject.port.claim("kafka", 100, async (rows) => {
      seen.push(...rows);
      return { done: [], faults: [] };
    });
    expect(seen[0]).toMatchObject({ topic: "prices", key: null, attempts: 0, headers: { origin: seen[0]?.payload } });
    expect((await takeAll(subject)).toSorted()).toEqual(["a1", "b1"]);
    expect(await takeAll(subject)).toEqual([]);
  });

  it("says whether a row is late", async () => {
    const subject = await makeSubject();
    expect(await subject.port.isLate("kafka", -60_000)).toBe(false);
    await commit(subject, row("a", "a1"));
    expect(await subject.port.isLate("kafka", -60_000)).toBe(true);
    expect(await subject.port.isLate("kafka", 60_000)).toBe(false);
    expect(await subject.port.isLate("redis", -60_000)).toBe(false);
  });

  it("keeps sinks apart", async () => {
    const subject = await makeSubject();
    await commit(subject, row("a", "k"), row("a", "r", "redis"));
    expect(await take(subject, "redis")).toEqual(["r"]);
    expect(await take(subject, "kafka")).toEqual(["k"]);
  });

  it("keeps the order of an aggregate over batches", async () => {
    const subject = await makeSubject();
    const payloads = Array.from({ length: 20 }, (_, index) => `p${index}`);
    for (const payload of payloads) {
      await commit(subject, row("a", payload), row(`other ${payload}`, `x${payload}`));
    }
    const taken = await takeAll(subject, 8);
    expect(taken.filter((payload) => payload.startsWith("p"))).toEqual(payloads);
    expect(taken).toHaveLength(40);
  });

  it("gives later ids to the later commit of an aggregate, by making its writer wait", async () => {
    const subject = await makeSubject();
    const first = await subject.append([row("a", "a1")]);
    let appended = false;
    const second = subject.append([row("a", "a2")]).then((open) => {
      appended = true;
      return open;
    });
    await commit(subject, row("unrelated", "u1"));
    expect(await takeAll(subject)).toEqual(["u1"]);
    expect(appended).toBe(false);
    await first.commit();
    await (await second).commit();
    expect(await takeAll(subject)).toEqual(["a1", "a2"]);
  });

  it("gives an aggregate to one holder at a time, and to the next one when it failed", async () => {
    const subject = await makeSubject();
    await commit(subject, row("a", "a1"));
    const failing = subject.port.claim("kafka", 100, async () => {
      const second = await subject.port.claim("kafka", 100, async () => ({ done: [], faults: [] }));
      expect(second).toEqual({ claimed: 0, more: false, held: true });
      throw new RangeError("holder died");
    });
    await expect(failing).rejects.toThrow("holder died");
    expect(await take(subject)).toEqual(["a1"]);
  });

  it("parks a row after its faults, holding back its aggregate until then", async () => {
    const subject = await makeSubject();
    await commit(subject, row("a", "poison"), row("a", "a2"));
    for (let fault = 0; fault < 2; fault += 1) {
      await subject.port.claim("kafka", 1, async ([head]) => {
        expect(head).toMatchObject({ payload: "poison", attempts: fault });
        return { done: [], faults: head === undefined ? [] : [{ id: head.id, message: "no" }] };
      });
    }
    expect(await takeAll(subject)).toEqual(["a2"]);
    expect(await subject.parkedIds()).toHaveLength(1);
  });

  it("leaves unnamed rows for the next claim", async () => {
    const subject = await makeSubject();
    await commit(subject, row("a", "a1"), row("a", "a2"));
    await subject.port.claim("kafka", 100, async (rows) => ({
      done: rows.slice(0, 1).map(({ id }) => id),
      faults: [],
    }));
    expect(await takeAll(subject)).toEqual(["a2"]);
  });
}
