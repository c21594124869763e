import type { PendingRow, Settlement } from "./port.ts";

/**
 * Takes rows, in order, and resolves once all of them are safe. It must apply the rows of one aggregate in order, and a
 * repeat must be harmless. Rejects when any was not taken. `signal` aborts when the relay no longer waits.
 */
export type Sink = (rows: readonly PendingRow[], context: { signal: AbortSignal }) => Promise<void>;

export interface Delivery extends Settlement {
  /** Why the sink as a whole is not to be had. */
  outage?: unknown;
}

function groupByAggregate(rows: readonly PendingRow[]): PendingRow[][] {
  return [...Map.groupBy(rows, (row) => row.aggregate).values()];
}

/**
 * Sends a batch. When the sink refuses it for another reason than an outage, halves it by aggregate until the rows that are at
 * fault stand alone; rows behind one in its aggregate are left. An outage ends it, keeping what was acknowledged.
 */
export async function deliver(
  rows: readonly PendingRow[],
  send: (rows: readonly PendingRow[]) => Promise<void>,
  isOutage: (error: unknown) => boolean,
): Promise<Delivery> {
  const delivery: Delivery = { done: [], faults: [] };

  const attempt = async (part: readonly PendingRow[]): Promise<{ error: unknown } | undefined> => {
    try {
      await send(part);
    } catch (error) {
      if (isOutage(error)) {
        delivery.outage = error ?? new Error("the sink is away");
      }
      return { error };
    }
    for (const row of part) {
      delivery.done.push(row.id);
    }
    return undefined;
  };

  const oneByOne = async (part: readonly PendingRow[]): Promise<void> => {
    for (const row of part) {
      const failure = await attempt([row]);
      if (failure !== undefined) {
        if (delivery.outage === undefined) {
          delivery.faults.push({ id: row.id, message: describe(failure.error) });
        }
        return;
      }
    }
  };

  const divide = async (groups: readonly PendingRow[][]): Promise<void> => {
    if (delivery.outage !== undefined || groups.length === 0) {
      return;
    }
    const failure = await attempt(groups.flat());
    if (failure === undefined || delivery.outage !== undefined) {
      return;
    }
    const [only] = groups;
    if (groups.length === 1 && only !== undefined) {
      if (only.length === 1) {
        for (const row of only) {
          delivery.faults.push({ id: row.id, message: describe(failure.error) });
        }
      } else {
        await oneByOne(only);
      }
      return;
    }
    const middle = groups.length >> 1;
    await divide(groups.slice(0, middle));
    await divide(groups.slice(middle));
  };

  await divide(groupByAggregate(rows));
  return delivery;
}

function describe(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 500);
}
