/**
 * How the payment service treats one order's charge, as far as the saga can tell (payment-message.ts): the arbiter of the saga's
 * simulation. `sent` is a first attempt that is under way: only the processor knows how it ends.
 */
export type Charge =
  | "unknown"
  | "waiting"
  | "sent"
  | "settled"
  | "cancelled"
  | "expired"
  | "refunding"
  | "refunded"
  | "manual";

export type ChargeCommand = "charge" | "cancel_charge" | "expire_charge" | "refund";
export type ChargeEvent = "charge_settled" | "charge_cancelled" | "charge_expired" | "refund_done" | "refund_manual";

export type ChargeModel = { readonly charge: Charge; readonly refundWanted: boolean };

export const noCharge: ChargeModel = { charge: "unknown", refundWanted: false };

type Told = { readonly model: ChargeModel; readonly events: readonly ChargeEvent[] };

export function command(model: ChargeModel, asked: ChargeCommand): Told {
  if (asked === "charge")
    return { model: model.charge === "unknown" ? { ...model, charge: "waiting" } : model, events: [] };
  if (model.charge === "unknown" || model.charge === "waiting") {
    const charge = asked === "expire_charge" ? "expired" : "cancelled";
    return { model: { ...model, charge }, events: [charge === "expired" ? "charge_expired" : "charge_cancelled"] };
  }
  const refundWanted = model.refundWanted || asked !== "expire_charge";
  if (model.charge === "settled" && refundWanted) {
    return { model: { charge: "refunding", refundWanted }, events: ["charge_settled"] };
  }
  return { model: { ...model, refundWanted }, events: outcome(model.charge) };
}

/** The processor records the payment, and later the refund. */
export function processorActs(model: ChargeModel, refundsAreManual: boolean): Told {
  switch (model.charge) {
    case "waiting":
      return { model: { ...model, charge: "sent" }, events: [] };
    case "sent":
      return { model: { ...model, charge: model.refundWanted ? "refunding" : "settled" }, events: ["charge_settled"] };
    case "refunding":
      return refundsAreManual
        ? { model: { ...model, charge: "manual" }, events: ["refund_manual"] }
        : { model: { ...model, charge: "refunded" }, events: ["refund_done"] };
    case "unknown":
    case "settled":
    case "cancelled":
    case "expired":
    case "refunded":
    case "manual":
      return { model, events: [] };
  }
}

function outcome(charge: Charge): ChargeEvent[] {
  switch (charge) {
    case "settled":
    case "refunding":
      return ["charge_settled"];
    case "refunded":
      return ["charge_settled", "refund_done"];
    case "manual":
      return ["charge_settled", "refund_manual"];
    case "cancelled":
      return ["charge_cancelled"];
    case "expired":
      return ["charge_expired"];
    case "unknown":
    case "waiting":
    case "sent":
      return [];
  }
}
