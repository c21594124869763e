/** Shows payments: some that go through, then the default processor failing, the failover, and a summary that adds up. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type PaymentResponse, paymentResponse, paymentsSummaryResponse } from "@pricing-engine/contracts";
import { z } from "zod";
import { UserError } from "../runtime/local/user-error.ts";
import type { DemoCaller } from "./demo-caller.ts";

export interface PaymentDemoOptions {
  readonly caller: DemoCaller;
  /** Of the default processor, when it is a simulated one: it is made to fail, and to work again. */
  readonly simulated: string | undefined;
  readonly stop: AbortSignal;
}

const amount = 19.9;
const count = 5;
const settledTimeoutMs = 30_000;
const accepted = z.object({ status: z.literal("accepted") });

/** @throws UserError with the call that did not go as it should */
export async function runPaymentDemo({ caller, simulated, stop }: PaymentDemoOptions): Promise<void> {
  const { call, show, say } = caller;
  const from = new Date().toISOString();
  const pay = async () => {
    const payments = Array.from({ length: count }, () => ({ correlationId: randomUUID(), amount }));
    await Promise.all(payments.map((payment) => call("POST", "/payments", accepted, payment)));
    return payments;
  };
  const settled = (ids: readonly { correlationId: string }[]) =>
    Promise.all(ids.map(({ correlationId }) => untilSettled(caller, correlationId, stop)));
  const [first, ...others] = await pay();
  if (first === undefined) return;
  await show("A payment, safe in Kafka: 202 (and four more like it)", "/payments", { status: "accepted" }, first);
  const [done] = await settled([first, ...others]);
  if (done !== undefined) await show("Where it went", `/payments/${first.correlationId}`, short(done));

  if (simulated !== undefined) {
    say("");
    say("The default processor fails from now on");
    say(`  $ curl -s -X PUT -H 'X-Rinha-Token: 123' -d '{"failure":true}' '${simulated}/admin/configurations/failure'`);
    await setFailure(simulated, true);
    try {
      const payments = await pay();
      say("  Five more payments are taken: 202. They wait for it as long as spec.payment.routing.maxHold allows.");
      const [moved] = await settled(payments);
      if (moved !== undefined) {
        await show("They went to the fallback", `/payments/${moved.correlationId}`, short(moved));
      }
    } finally {
      await setFailure(simulated, false);
      say("  (the default processor works again)");
    }
  }
  const path = `/payments-summary?from=${from}`;
  await show("What each processor was sent", path, await call("GET", path, paymentsSummaryResponse));
}

async function setFailure(processor: string, failure: boolean): Promise<void> {
  const response = await fetch(`${processor}/admin/configurations/failure`, {
    method: "PUT",
    headers: { "x-rinha-token": "123", "content-type": "application/json" },
    body: JSON.stringify({ failure }),
    signal: AbortSignal.timeout(5000),
  });
  if (!response.ok) throw new UserError(`the simulated processor answered ${response.status}`);
}

/** The worker has it a moment after Kafka: until then a 404. */
async function untilSettled({ address, key }: DemoCaller, id: string, stop: AbortSignal): Promise<PaymentResponse> {
  const deadline = performance.now() + settledTimeoutMs;
  const { headers } = await key();
  for (;;) {
    const response = await fetch(`${address}/payments/${id}`, { headers, signal: AbortSignal.timeout(5000) });
    const text = await response.text();
    if (response.ok) {
      const payment = paymentResponse.parse(JSON.parse(text));
      if (payment.state === "settled") return payment;
    } else if (response.status !== 404) {
      throw new UserError(`GET /payments/${id} answered ${response.status}: ${text.slice(0, 400)}`);
    }
    if (performance.now() > deadline || stop.aborted) {
      throw new UserError(`payment ${id} is not settled after ${settledTimeoutMs / 1000} s: ${text.slice(0, 400)}`);
    }
    await delay(100);
  }
}

function short({ state, processor, requestedAt, attempts }: PaymentResponse): object {
  return { state, processor, requestedAt, attempts };
}
