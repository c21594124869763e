import { parseArgs } from "node:util";
import { assertNever } from "@pricing-engine/chassis/errors";
import { makeLogger } from "@pricing-engine/chassis/log";
import { paymentsSummaryQuery, toPaymentAmount } from "@pricing-engine/contracts";
import { makePool } from "@pricing-engine/postgres";
import { makeHttpProcessors } from "../adapters/processors.ts";
import { makeReconcilePorts, markForReview, rebuildRollups } from "../adapters/reconcile-ports.ts";
import type { ToolConfig } from "../config.ts";
import type { Difference, OtherPayment } from "../usecases/difference.ts";
import { reconcile } from "../usecases/reconcile.ts";
import { findUser } from "./by-hand.ts";
import { endpointsOf } from "./endpoints.ts";

const usage = "reconcile [--from TIME] [--to TIME] [--repair] [--actor NAME]";
const dayMs = 24 * 60 * 60_000;
// What is younger may be in the air.
const settleMs = 30_000;

/** Exit code 0: all agree; 1: something differs; 2: wrong usage. `--repair` marks what differs for a review by a person, audited, and adds up the rollups again. */
export async function runReconcile(args: string[], config: ToolConfig, write: (line: string) => void): Promise<number> {
  const asked = findWindow(args, Date.now());
  if (asked === undefined) {
    write(`usage: ${usage}`);
    return 2;
  }
  const { fromMs, toMs, repair, actor = findUser() } = asked;
  const logger = makeLogger({ name: "payment-reconcile", level: "warn" });
  const pool = makePool({
    url: config.POSTGRES_URL,
    max: 2,
    applicationName: "payment-reconcile",
    statementTimeoutMs: 60_000,
    logger,
  });
  const processors = makeHttpProcessors(endpointsOf(config), { timeoutMs: config.PAYMENT_TIMEOUT_MS });
  try {
    const onSearchFailed = (processor: string, error: unknown): void =>
      write(`${processor}: what it has more was not looked for to the end: ${String(error)}`);
    const found = await reconcile(makeReconcilePorts({ pool, processors, onSearchFailed }), fromMs, toMs);
    for (const difference of found) {
      write(describe(difference));
      const problem = problemOf(difference);
      if (repair && problem !== undefined && "payment" in difference) {
        await markForReview(pool, difference.payment, { problem, actor });
      }
    }
    if (repair && found.some(({ kind }) => kind === "rollups")) {
      await rebuildRollups(pool, fromMs, toMs);
      write("the rollups are added up again");
    }
    const window = `${new Date(fromMs).toISOString()} to ${new Date(toMs).toISOString()}`;
    write(found.length === 0 ? `${window}: all agree` : `${window}: ${found.length} differences`);
    return found.length === 0 ? 0 : 1;
  } finally {
    await Promise.all([processors.close(), pool.close()]);
  }
}

/** Times as the summary takes them: RFC 3339 with a zone, both inclusive. No actor: the user. Undefined: wrong usage. */
export function findWindow(
  args: string[],
  nowMs: number,
): { fromMs: number; toMs: number; repair: boolean; actor: string | undefined } | undefined {
  const values = parse(args);
  const window = values && paymentsSummaryQuery.safeParse({ from: values.from, to: values.to }).data;
  if (window === undefined || values?.actor?.trim() === "") return undefined;
  const { to: toMs = nowMs - settleMs, from: fromMs = toMs - dayMs } = window;
  return fromMs > toMs ? undefined : { fromMs, toMs, repair: values?.repair === true, actor: values?.actor };
}

function parse(args: string[]) {
  try {
    const options = {
      from: { type: "string" },
      to: { type: "string" },
      repair: { type: "boolean" },
      actor: { type: "string" },
    } as const;
    return parseArgs({ args, options }).values;
  } catch {
    return undefined;
  }
}

function problemOf(difference: Difference): string | undefined {
  switch (difference.kind) {
    case "not_at_processor":
      return "the processor does not have it";
    case "other_amount":
      return `the processor has the amount ${toPaymentAmount(difference.amountMinor)}`;
    case "other_time":
      return `the processor has it with requestedAt ${difference.requestedAt}`;
    case "also_at":
      return `${difference.processor} has charged ${toPaymentAmount(difference.amountMinor)} too: charged twice`;
    case "against_row":
      return `${difference.processor} has charged ${toPaymentAmount(difference.amountMinor)}, though it is ${stateOf(difference.payment)}`;
    case "still_open":
    case "unexplained":
    case "rollups":
      return undefined;
    default:
      return assertNever(difference);
  }
}

/** The same for as long as a payment is asked for again and again: each problem is noted once. */
function stateOf({ state, processor }: OtherPayment): string {
  if (processor === null) return state;
  return `${state === "settled" ? state : "open"} at ${processor}`;
}

function describe(difference: Difference): string {
  const { processor } = difference;
  switch (difference.kind) {
    case "not_at_processor":
    case "other_amount":
    case "other_time":
    case "also_at":
    case "against_row":
      return `${processor}: ${difference.payment.id}: ${problemOf(difference)}`;
    case "still_open":
      return `${processor}: ${difference.payment.id}: recorded there, ${difference.payment.state} here; its worker will settle it`;
    case "unexplained":
      return `${processor}: ${difference.payments} payments, ${toPaymentAmount(difference.amountMinor)} more there than here between ${new Date(difference.fromMs).toISOString()} and ${new Date(difference.toMs).toISOString()}`;
    case "rollups":
      return `${processor}: the rollups say ${difference.rollups.payments}, the payments ${difference.rows.payments}`;
    default:
      return assertNever(difference);
  }
}
