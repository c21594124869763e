import { AppError } from "@pricing-engine/chassis/errors";
import { type HttpApp, parseParams, parseQuery } from "@pricing-engine/chassis/http";
import {
  type PaymentResponse,
  type PaymentsSummaryResponse,
  paymentId,
  paymentsSummaryQuery,
} from "@pricing-engine/contracts";
import { z } from "zod";

export type PaymentRoutes = {
  findPayment(id: string): Promise<PaymentResponse | undefined>;
  readSummary(fromMs: number | undefined, toMs: number | undefined): Promise<PaymentsSummaryResponse>;
  purge(): Promise<void>;
  mayPurge(): boolean;
};

const params = z.object({ correlationId: paymentId });

export function mountPayments(app: HttpApp, routes: PaymentRoutes): void {
  app.get("/payments/:correlationId", async (c) => {
    const { correlationId } = parseParams(c, params);
    const payment = await routes.findPayment(correlationId);
    // An accepted one is in Kafka until a worker has it.
    if (payment === undefined) throw new AppError("not_found", { retryAfterSeconds: 1 });
    return c.json(payment);
  });
  app.get("/payments-summary", async (c) => {
    const { from, to } = parseQuery(c, paymentsSummaryQuery);
    return c.json(await routes.readSummary(from, to));
  });
  app.post("/purge-payments", async (c) => {
    if (!routes.mayPurge()) throw new AppError("forbidden", { detail: "spec.gateway.allowPurge is off" });
    await routes.purge();
    return c.json({ message: "payments and rollups are forgotten" });
  });
}
