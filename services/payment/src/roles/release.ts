import { assertNever } from "@pricing-engine/chassis/errors";
import { makeLogger } from "@pricing-engine/chassis/log";
import { makePool } from "@pricing-engine/postgres";
import { makeReleaseStore } from "../adapters/release-store.ts";
import { makeReleasePayment } from "../usecases/release.ts";
import { findByHand } from "./by-hand.ts";

const usage = "release ID [--reason TEXT] [--source api|order] [--actor NAME]";

/** Exit code 0: released; 1: there is nothing to release; 2: wrong usage. */
export async function runRelease(
  args: string[],
  config: { POSTGRES_URL: string; prefix: string },
  write: (line: string) => void,
): Promise<number> {
  const order = findByHand(args, { unexplained: "none given" });
  if (order === undefined) {
    write(`usage: ${usage}`);
    return 2;
  }
  const logger = makeLogger({ name: "payment-release", level: "warn" });
  const pool = makePool({ url: config.POSTGRES_URL, max: 2, applicationName: "payment-release", logger });
  try {
    const release = makeReleasePayment(makeReleaseStore({ pool, prefix: config.prefix }));
    const result = await release(order);
    switch (result.kind) {
      case "released":
        write(`${order.id} is released: it may go to either processor`);
        return 0;
      case "not_found":
        write(`${order.id} is not known`);
        return 1;
      case "not_pinned":
        write(`${order.id} is ${result.state}: only a payment at rest with an unknown outcome can be released`);
        return 1;
      default:
        return assertNever(result);
    }
  } finally {
    await pool.close();
  }
}
