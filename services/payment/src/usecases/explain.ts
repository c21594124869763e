import { otherProcessor, type ProcessorName } from "../domain/processor.ts";
import {
  type Difference,
  isWithin,
  type OtherPayment,
  type ReconcilePorts,
  type Rest,
  toleranceMs,
} from "./difference.ts";

/** So few payments of a window are looked at one by one. */
export const maxSingles = 200;
// Of all windows together: what was under way is listed with a scan of the table.
const maxUnderWay = 2000;
const maxWindows = 100;
/** So many questions are asked for a processor, one after the other. */
export const maxAsked = 4000;

/**
 * Names what this processor has more than our rows there explain, as far as other rows of ours do: first what was recorded at another
 * time than we say, then, asking for one after the other until nothing is left, what we settled at the other processor about then, and
 * last whatever was on its way. An attempt's `requestedAt` lies between the payment's acceptance and its last attempt.
 */
export async function explain(
  ports: ReconcilePorts,
  processor: ProcessorName,
  compared: readonly Difference[],
): Promise<Difference[]> {
  const found: Difference[] = compared.filter(({ kind }) => kind !== "unexplained");
  const rests = compared.filter((one): one is Rest => one.kind === "unexplained").map((rest) => ({ ...rest }));
  for (const difference of compared) {
    if (difference.kind !== "other_time") continue;
    const rest = findRest(rests, difference.requestedAt);
    // In its own window it is counted on both sides.
    if (rest !== undefined && !isWithin(difference.payment.requestedAtMs, rest)) subtract(rest, difference.amountMinor);
  }

  const asked = new Set<string>();
  const ask = async (listed: OtherPayment): Promise<void> => {
    if (asked.has(listed.id) || asked.size >= maxAsked) return;
    asked.add(listed.id);
    const record = await ports.find(processor, listed.id);
    if (record === undefined) return;
    const payment = await ports.read(listed);
    // It was sent here since it was listed.
    if (payment === undefined || payment.processor === processor) return;
    const isTwice =
      payment.state === "settled" && (await ports.find(otherProcessor(processor), payment.id)) !== undefined;
    const { amountMinor } = record;
    found.push({ kind: isTwice ? "also_at" : "against_row", processor, payment, amountMinor });
    const rest = findRest(rests, record.requestedAt);
    if (rest !== undefined) subtract(rest, amountMinor);
  };

  const search = async (): Promise<void> => {
    for (const rest of rests) {
      if (!hasMore(rest) || asked.size >= maxAsked) continue;
      for (const payment of await ports.listElsewhere(processor, widen(rest), maxSingles)) {
        if (!hasMore(rest)) break;
        await ask(payment);
      }
    }
    const open = rests.filter(hasMore).slice(0, maxWindows);
    if (open.length === 0) return;
    for (const payment of await ports.listUnderWay(processor, open.map(widen), maxUnderWay)) {
      if (!open.some(hasMore)) break;
      await ask(payment);
    }
  };
  // What was found stands without it: on a large table it may not end in time.
  await search().catch((error: unknown) => ports.onSearchFailed(processor, error));
  return [...found, ...rests.filter(({ payments, amountMinor }) => payments !== 0 || amountMinor !== 0)];
}

function findRest(rests: readonly Rest[], requestedAt: string): Rest | undefined {
  const atMs = Date.parse(requestedAt);
  return rests.find((rest) => isWithin(atMs, rest));
}

function subtract(rest: Rest, amountMinor: number): void {
  rest.payments -= 1;
  rest.amountMinor -= amountMinor;
}

function hasMore({ payments }: Rest): boolean {
  return payments > 0;
}

function widen({ fromMs, toMs }: Rest): { fromMs: number; toMs: number } {
  return { fromMs: fromMs - toleranceMs, toMs: toMs + toleranceMs };
}
