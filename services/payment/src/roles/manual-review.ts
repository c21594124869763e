import { makeLogger } from "@pricing-engine/chassis/log";
import { toPaymentAmount } from "@pricing-engine/contracts";
import { makePool } from "@pricing-engine/postgres";
import { listForReview } from "../adapters/payment-reader.ts";

/** Lists what a person must look at, oldest first, a line each. Exit code 0: nothing; 1: something. */
export async function runManualReview(
  { POSTGRES_URL }: { POSTGRES_URL: string },
  write: (line: string) => void,
): Promise<number> {
  const logger = makeLogger({ name: "payment-manual-review", level: "warn" });
  const pool = makePool({ url: POSTGRES_URL, max: 2, applicationName: "payment-manual-review", logger });
  try {
    const found = await listForReview(pool);
    for (const { id, source, orderId, amountMinor, processor, reason } of found) {
      const whose = orderId === null ? source : `${source} ${orderId}`;
      write(`${id}  ${whose}  ${toPaymentAmount(amountMinor)} at ${processor ?? "no processor"}: ${reason}`);
    }
    write(found.length === 0 ? "nothing to review" : `${found.length} to review`);
    return found.length === 0 ? 0 : 1;
  } finally {
    await pool.close();
  }
}
