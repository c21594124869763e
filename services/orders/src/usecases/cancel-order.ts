import { AppError } from "@pricing-engine/chassis/errors";
import { type Pool, query, withTransaction } from "@pricing-engine/postgres";
import { findOrderRefs, lockOrders } from "../adapters/order-store.ts";
import { deadlineMs } from "./deadline.ts";
import { type MoveDeps, moveOrder } from "./move-order.ts";

/** Resolves with where the order is now. */
export type CancelOrder = (orderId: string, tenantId: string | undefined) => Promise<"cancelling" | "cancelled">;

/**
 * Decided in one transaction on the locked order.
 * @throws AppError `not_found`, also for an order of another tenant; `order_too_late`
 */
export function makeCancelOrder(deps: MoveDeps & { pool: Pool }): CancelOrder {
  const { pool } = deps;
  return async (orderId, tenantId) => {
    const ref = (await query(pool, deadlineMs, (on) => findOrderRefs(on, [orderId]))).get(orderId);
    if (ref === undefined) throw unknownOrder(orderId);
    return withTransaction(
      pool,
      async (tx) => {
        const order = (await lockOrders(tx, [ref])).get(orderId);
        if (order === undefined || (tenantId !== undefined && order.tenantId !== tenantId)) throw unknownOrder(orderId);
        const event = { type: "cancel_requested", reason: "cancelled by request" } as const;
        const step = await moveOrder(tx, { order, event }, deps);
        if (step.kind === "refused") {
          throw new AppError("order_too_late", { detail: `the order is ${order.state.status.replace("_", " ")}` });
        }
        const { status } = step.kind === "moved" ? step.state : order.state;
        return status === "cancelling" ? "cancelling" : "cancelled";
      },
      { deadlineMs },
    );
  };
}

export function unknownOrder(orderId: string): AppError {
  return new AppError("not_found", { detail: `there is no order "${orderId}"` });
}
