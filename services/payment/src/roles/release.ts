import { userInfo } from "node:os";
import { parseArgs } from "node:util";
import { assertNever } from "@pricing-engine/chassis/errors";
import { makeLogger } from "@pricing-engine/chassis/log";
import { paymentId, paymentSource } from "@pricing-engine/contracts";
import { makePool } from "@pricing-engine/postgres";
import { makeReleaseStore } from "../adapters/release-store.ts";
import { makeReleasePayment } from "../usecases/release.ts";

const usage = "release ID --reason TEXT [--source api|order] [--actor NAME]";

/** Exit code 0: released; 1: there is nothing to release; 2: wrong usage. */
export async function runRelease(
  args: string[],
  config: { POSTGRES_URL: string; prefix: string },
  write: (line: string) => void,
): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      reason: { type: "string" },
      source: { type: "string", default: "api" },
      actor: { type: "string", default: userInfo().username },
    },
  });
  const id = paymentId.safeParse(positionals[0]);
  const source = paymentSource.safeParse(values.source);
  if (!id.success || !source.success || values.reason === undefined || values.reason.trim() === "") {
    write(`usage: ${usage}`);
    return 2;
  }
  const logger = makeLogger({ name: "payment-release", level: "warn" });
  const pool = makePool({ url: config.POSTGRES_URL, max: 2, applicationName: "payment-release", logger });
  try {
    const release = makeReleasePayment(makeReleaseStore({ pool, prefix: config.prefix }));
    const { actor, reason } = values;
    const result = await release({ id: id.data, source: source.data, actor, reason });
    switch (result.kind) {
      case "released":
        write(`${id.data} is released: it may go to either processor`);
        return 0;
      case "not_found":
        write(`${id.data} is not known`);
        return 1;
      case "not_pinned":
        write(`${id.data} is ${result.state}: only a payment at rest with an unknown outcome can be released`);
        return 1;
      default:
        return assertNever(result);
    }
  } finally {
    await pool.close();
  }
}
