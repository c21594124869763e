import { assertNever } from "@pricing-engine/chassis/errors";
import { makeLogger } from "@pricing-engine/chassis/log";
import { makePool } from "@pricing-engine/postgres";
import { makeReviewStore } from "../adapters/review-store.ts";
import { makeEndReview } from "../usecases/end-review.ts";
import { findByHand } from "./by-hand.ts";

const usage = "reviewed ID --reason TEXT [--source api|order] [--actor NAME]";

/** Exit code 0: it is off the list; 1: it was not on it; 2: wrong usage. */
export async function runReviewed(
  args: string[],
  { POSTGRES_URL }: { POSTGRES_URL: string },
  write: (line: string) => void,
): Promise<number> {
  const order = findByHand(args);
  if (order === undefined) {
    write(`usage: ${usage}`);
    return 2;
  }
  const logger = makeLogger({ name: "payment-reviewed", level: "warn" });
  const pool = makePool({ url: POSTGRES_URL, max: 2, applicationName: "payment-reviewed", logger });
  try {
    const { kind } = await makeEndReview(makeReviewStore({ pool }))(order);
    switch (kind) {
      case "reviewed":
        write(`${order.id} is reviewed`);
        return 0;
      case "not_found":
        write(`${order.id} is not known`);
        return 1;
      case "nothing_to_review":
        write(`${order.id} has nothing to review`);
        return 1;
      default:
        return assertNever(kind);
    }
  } finally {
    await pool.close();
  }
}
