import { AppError } from "@pricing-engine/chassis/errors";
import { recordError } from "@pricing-engine/chassis/telemetry";
import { findPlainPayment } from "../domain/payment-request.ts";
import type { AcceptPayment } from "../usecases/accept-payment.ts";
import {
  type Front,
  type FrontDeps,
  makeFront,
  makeFrontRecord,
  parsePlain,
  replay,
  sendPlain,
  startFrontSpan,
} from "./front.ts";
import { acceptedBody, isOutcomeUnknown, type PaymentNotes } from "./payments.ts";

const path = "/payments";
const accepted = Buffer.from(JSON.stringify(acceptedBody));

export type PaymentFrontDeps = FrontDeps & { accept: AcceptPayment; notes: PaymentNotes };

/** Takes payments straight on Node's server, by the rules of `acceptPaymentRoute`; what is not plain goes through the app. */
export function makePaymentFront(deps: PaymentFrontDeps): Front {
  const { app, accept, notes, logger } = deps;
  const { refusals, dropped } = notes;
  const isDropped = (request: Request): boolean => dropped.has(request);
  const record = makeFrontRecord(path, logger, 1);

  return makeFront(deps, {
    path,
    role: "writer",
    async answer(call, bytes) {
      const request = findPlainPayment(parsePlain(bytes));
      if (request === undefined) return replay(app, path, call, bytes, { isDropped });
      const span = startFrontSpan(call.incoming, `POST ${path}`);
      try {
        await accept(request, { traceparent: span.traceparent });
      } catch (error) {
        recordError(span.span, error);
        span.span.end();
        if (error instanceof AppError && !isOutcomeUnknown(error)) {
          return replay(app, path, call, bytes, { prepare: (again) => refusals.set(again, error) });
        }
        logger.error({ err: error, payment: request.correlationId }, "a payment has an unknown outcome: no answer");
        call.incoming.socket.destroy();
        return;
      }
      sendPlain(call, span, 202, accepted);
      record(call, span, 202, { payment: request.correlationId });
    },
  });
}
