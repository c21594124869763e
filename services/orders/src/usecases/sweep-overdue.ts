import type { OrdersSettings } from "@pricing-engine/contracts";
import { appendOutbox, type Pool, withTransaction } from "@pricing-engine/postgres";
import { nudges } from "../adapters/metrics.ts";
import { lockOverdue, postpone } from "../adapters/order-store.ts";
import { commandRow } from "../adapters/outbox-rows.ts";
import { schemaName } from "../adapters/schema.ts";
import { overdueCommand } from "../domain/saga.ts";
import { deadlineMs } from "./deadline.ts";

const batchSize = 200;

/**
 * Asks again for what overdue orders wait for; which changes nothing that is already done. Resolves with how many there were.
 * Any number of sweepers share them out.
 */
export function makeSweepOverdue(deps: {
  pool: Pool;
  prefix: string;
  settings: () => Pick<OrdersSettings, "stateTimeoutMs">;
}): () => Promise<number> {
  const sweepBatch = (): Promise<number> =>
    withTransaction(
      deps.pool,
      async (tx) => {
        const orders = await lockOverdue(tx, batchSize);
        if (orders.length === 0) return 0;
        await postpone(tx, orders, new Date(Date.now() + deps.settings().stateTimeoutMs).toISOString());
        const rows = orders.flatMap((order) => {
          const due = overdueCommand(order.state);
          // The saga's overdue commands are messages all; a dead letter is never due.
          if (due === undefined || due.type === "dead_letter") return [];
          nudges.inc({ command: due.type });
          return [commandRow(deps.prefix, order, due.type)];
        });
        await appendOutbox(tx, { schema: schemaName }, rows);
        return orders.length;
      },
      { deadlineMs },
    );
  return async () => {
    let swept = 0;
    for (;;) {
      const batch = await sweepBatch();
      swept += batch;
      if (batch < batchSize) return swept;
    }
  };
}
