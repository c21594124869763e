import type { OutboxRow } from "./append.ts";
import type { OutboxPort, PendingRow, Settlement } from "./port.ts";

interface Stored extends PendingRow {
  sink: string;
  visible: boolean;
  retryAtMs: number;
  parked: boolean;
}

export interface MemoryOutboxOptions {
  maxFaults: number;
  faultBackoffMs: number;
  /** A moment at which others may run: between any two steps of a claim. Rejects to crash the holder. */
  step: (name: string) => Promise<void>;
  nowMs: () => number;
}

/** A writer's open transaction. */
export interface MemoryTransaction {
  commit(): void;
  rollBack(): void;
}

export interface MemoryOutbox extends OutboxPort {
  /** Takes the lock of the aggregates, as `appendOutbox` does; resolves when it has it and the rows have their ids. */
  append(rows: readonly OutboxRow[]): Promise<MemoryTransaction>;
  /** Ends the oldest claim as the server does with a stalled session: its locks are free, its settlement will fail. */
  expireClaim(): void;
  parked(): PendingRow[];
  depth(): number;
}

interface Claim {
  sink: string;
  aggregates: Set<string>;
  alive: boolean;
}

/**
 * The protocol's store for simulations: what Postgres does, without time or network. It passes the same contract suite as
 * the real one. Locks are per aggregate: a bucket is only a coarser one.
 */
export function makeMemoryOutbox(options: MemoryOutboxOptions): MemoryOutbox {
  const rows = new Map<bigint, Stored>();
  const writers = new Map<string, Promise<void>>();
  const claims: Claim[] = [];
  let sequence = 0n;

  const lockAggregate = async (aggregate: string): Promise<() => void> => {
    for (let holder = writers.get(aggregate); holder !== undefined; holder = writers.get(aggregate)) {
      await holder;
    }
    let free = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      free = () => {
        writers.delete(aggregate);
        resolve();
      };
    });
    writers.set(aggregate, held);
    return free;
  };

  const settle = ({ done, faults }: Settlement): void => {
    for (const id of done) {
      rows.delete(id);
    }
    for (const { id } of faults) {
      const row = rows.get(id);
      if (row !== undefined) {
        row.retryAtMs = options.nowMs() + options.faultBackoffMs * 2 ** row.attempts;
        row.attempts += 1;
        row.parked = row.attempts >= options.maxFaults;
      }
    }
  };

  const readAll = (sink: string): Stored[] =>
    [...rows.values()]
      .filter((row) => row.visible && row.sink === sink && !row.parked)
      .sort((a, b) => (a.id < b.id ? -1 : 1));

  const findTaken = (sink: string): Set<string> =>
    new Set(claims.filter((claim) => claim.alive && claim.sink === sink).flatMap((claim) => [...claim.aggregates]));

  const readPending = (sink: string, limit: number): PendingRow[] => {
    const pending = readAll(sink);
    const waiting = new Set(pending.filter((row) => row.retryAtMs > options.nowMs()).map((row) => row.aggregate));
    const taken = findTaken(sink);
    return pending
      .filter(({ aggregate }) => !waiting.has(aggregate) && !taken.has(aggregate))
      .slice(0, limit)
      .map(({ sink: _sink, visible: _visible, retryAtMs: _retryAtMs, parked: _parked, ...row }) => row);
  };

  return {
    async append(added) {
      const frees: (() => void)[] = [];
      for (const aggregate of [...new Set(added.map((row) => row.aggregate))].sort()) {
        frees.push(await lockAggregate(aggregate));
      }
      const ids = added.map((row) => {
        sequence += 1n;
        rows.set(sequence, {
          ...row,
          headers: row.headers ?? {},
          id: sequence,
          createdAtMs: options.nowMs(),
          attempts: 0,
          visible: false,
          retryAtMs: 0,
          parked: false,
        });
        return sequence;
      });
      const end = (visible: boolean): void => {
        for (const id of ids) {
          const row = rows.get(id);
          if (visible && row !== undefined) {
            row.visible = true;
          } else {
            rows.delete(id);
          }
        }
        for (const free of frees) {
          free();
        }
      };
      return { commit: () => end(true), rollBack: () => end(false) };
    },

    async claim(sink, limit, deliver) {
      await options.step("claim");
      const pending = readPending(sink, limit);
      if (pending.length === 0) {
        const all = readAll(sink);
        const taken = findTaken(sink);
        const held = all.length > 0 && all.every(({ aggregate }) => taken.has(aggregate));
        return held ? { claimed: 0, more: false, held } : undefined;
      }
      const claim: Claim = { sink, aggregates: new Set(pending.map((row) => row.aggregate)), alive: true };
      claims.push(claim);
      try {
        await options.step("claimed");
        const settlement = await deliver(pending);
        await options.step("settle");
        if (!claim.alive) {
          throw new Error("the claim was lost");
        }
        settle(settlement);
        const more = pending.length === limit || settlement.done.length < pending.length;
        return { claimed: pending.length, more, held: false };
      } finally {
        claim.alive = false;
      }
    },

    async isLate(sink, afterMs) {
      return readAll(sink).some(({ createdAtMs }) => createdAtMs < options.nowMs() - afterMs);
    },

    expireClaim() {
      const claim = claims.find(({ alive }) => alive);
      if (claim !== undefined) {
        claim.alive = false;
      }
    },

    parked: () => [...rows.values()].filter((row) => row.parked),
    depth: () => [...rows.values()].filter((row) => row.visible && !row.parked).length,
  };
}
