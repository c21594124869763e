import { keyText, type Payment, type PaymentEvent } from "../domain/payment.ts";
import { granularityMs } from "../domain/window.ts";
import type { ControlStore, Fence, PaymentStore } from "./ports.ts";

export type MemoryStore = PaymentStore &
  ControlStore & {
    rows(): Payment[];
    conflicts: Map<string, number>;
    /** Count and amount by `granularity/bucket/processor`. */
    rollups: Map<string, { payments: number; amountMinor: number }>;
    /** In the order of their transactions. */
    events: { event: PaymentEvent; payment: Payment }[];
  };

/** The store of the simulation: each call takes effect in one go, between two steps of the world. */
export function makeMemoryStore(): MemoryStore {
  const rows = new Map<string, Payment>();
  const owners = new Map<number, Fence>();
  const conflicts: MemoryStore["conflicts"] = new Map();
  const rollups: MemoryStore["rollups"] = new Map();
  const events: MemoryStore["events"] = [];

  const isFenced = ({ partition, owner, epoch }: Fence): boolean => {
    const current = owners.get(partition);
    return current?.owner !== owner || current.epoch !== epoch;
  };
  const settle = ({ processor, requestedAtMs, amountMinor }: Payment): void => {
    for (const lengthMs of Object.values(granularityMs)) {
      const bucketMs = Math.floor((requestedAtMs ?? 0) / lengthMs) * lengthMs;
      const key = `${lengthMs}/${bucketMs}/${processor}`;
      const { payments, amountMinor: sum } = rollups.get(key) ?? { payments: 0, amountMinor: 0 };
      rollups.set(key, { payments: payments + 1, amountMinor: sum + amountMinor });
    }
  };
  const put = (before: Payment | undefined, after: Payment, told: readonly PaymentEvent[]): void => {
    rows.set(keyText(after), after);
    if (after.state === "settled" && before?.state !== "settled") settle(after);
    for (const event of told) if (after.source === "order") events.push({ event, payment: after });
  };
  const open = (partitions: readonly number[], keep: (row: Payment) => boolean, limit: number): Payment[] =>
    [...rows.values()]
      .filter((row) => partitions.includes(row.partition) && keep(row))
      .sort((a, b) => a.attempts - b.attempts)
      .slice(0, limit);

  return {
    rows: () => [...rows.values()],
    conflicts,
    rollups,
    events,
    claim: async (partitions, owner) =>
      partitions.map((partition) => {
        const current = owners.get(partition);
        if (current?.owner === owner) return current;
        const fence = { partition, owner, epoch: (current?.epoch ?? 0) + 1 };
        owners.set(partition, fence);
        return fence;
      }),
    insert: async (intents) =>
      intents.map(({ change: { after, events: told }, fence }) => {
        if (isFenced(fence)) return "fenced";
        const known = rows.get(keyText(after));
        if (after.source === "api" && rows.has(keyText({ source: "order", id: after.id }))) return "known";
        if (known === undefined) {
          put(undefined, after, told);
          return "inserted";
        }
        if (known.amountMinor !== after.amountMinor && !conflicts.has(keyText(after))) {
          conflicts.set(keyText(after), after.amountMinor);
        }
        return "known";
      }),
    apply: async (writes) =>
      writes.map(({ before, change: { after, events: told }, fence }) => {
        if (isFenced(fence)) return "fenced";
        const current = rows.get(keyText(before));
        if (current?.version !== before.version) return "stale";
        put(current, after, told);
        return "applied";
      }),
    find: async (key) => rows.get(keyText(key)),
    findOpen: async (partitions, states, limit, processor) =>
      open(
        partitions,
        (row) =>
          states.some((wanted) => wanted === row.state) && (processor === undefined || row.processor === processor),
        limit,
      ),
    findRefunds: async (partitions, limit) =>
      open(partitions, ({ refund, state }) => refund === "requested" && state === "settled", limit),
    control: async (key, decide) => {
      const row = rows.get(keyText(key));
      const decided = decide(row);
      if (decided === undefined) return [];
      put(row, decided.change.after, decided.change.events);
      return decided.change.events;
    },
  };
}
