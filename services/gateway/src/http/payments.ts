import { AppError } from "@pricing-engine/chassis/errors";
import { addLogFields, type HttpEnv, parseBody } from "@pricing-engine/chassis/http";
import { paymentRequest } from "@pricing-engine/contracts";
import type { Handler } from "hono";
import type { AcceptPayment } from "../usecases/accept-payment.ts";

export const acceptedBody = { status: "accepted" } as const;

/** Whether a payment that failed like this may have reached Kafka: then neither yes nor no is a true answer. */
export function isOutcomeUnknown(error: unknown): boolean {
  return !(error instanceof AppError) || error.code === "publish_unknown";
}

/** What front and route tell each other of a request. */
export type PaymentNotes = {
  /** The front has tried it already: why it was refused. */
  refusals: WeakMap<Request, AppError>;
  /** The route came to no true answer. */
  dropped: WeakSet<Request>;
};

export function makePaymentNotes(): PaymentNotes {
  return { refusals: new WeakMap(), dropped: new WeakSet() };
}

export type AcceptPaymentRouteDeps = { accept: AcceptPayment; notes: PaymentNotes };

/** `POST /payments`: 202 once Kafka has it; a 4xx or 503 only for what was not handed over; else no answer at all. */
export function acceptPaymentRoute({ accept, notes }: AcceptPaymentRouteDeps): Handler<HttpEnv> {
  return async (c) => {
    const refusal = notes.refusals.get(c.req.raw);
    if (refusal !== undefined) throw refusal;
    const request = await parseBody(c, paymentRequest);
    addLogFields(c, { payment: request.correlationId });
    try {
      await accept(request);
    } catch (error) {
      if (isOutcomeUnknown(error)) {
        notes.dropped.add(c.req.raw);
        c.env?.incoming?.socket.destroy();
      }
      throw error;
    }
    return c.json(acceptedBody, 202);
  };
}
