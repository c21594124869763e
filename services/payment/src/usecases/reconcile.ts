import { otherProcessor, type ProcessorName, processorNames } from "../domain/processor.ts";
import { type Difference, isWithin, type ReconcilePorts, type Totals } from "./difference.ts";
import { explain, maxSingles } from "./explain.ts";

/**
 * Compares a window (both bounds inclusive) with the processors: what is open here one by one, then summaries, and only where they
 * differ, halved by time until few are left, single payments. What a processor has more than these is looked for among the payments
 * that are not there by our rows. Two mistakes of which one hides the other in every sum stay hidden.
 */
export async function reconcile(ports: ReconcilePorts, fromMs: number, toMs: number): Promise<Difference[]> {
  const [rollups, rows] = await Promise.all([ports.ours(fromMs, toMs), ports.rows(fromMs, toMs)]);
  const found: Difference[] = [];
  for (const processor of processorNames) {
    if (!isEqual(rollups[processor], rows[processor])) {
      found.push({ kind: "rollups", processor, rollups: rollups[processor], rows: rows[processor] });
    }
    // Of these the processor may have more than we count.
    const recorded: Recorded[] = [];
    for (const payment of await ports.list(processor, "open", fromMs, toMs)) {
      const record = await ports.find(processor, payment.id);
      if (record === undefined) continue;
      found.push({ kind: "still_open", processor, payment });
      recorded.push({ amountMinor: record.amountMinor, atMs: Date.parse(record.requestedAt) });
    }
    found.push(...(await explain(ports, processor, await compare(ports, processor, recorded, fromMs, toMs))));
  }
  return found;
}

type Recorded = { amountMinor: number; atMs: number };

async function compare(
  ports: ReconcilePorts,
  processor: ProcessorName,
  recorded: readonly Recorded[],
  fromMs: number,
  toMs: number,
): Promise<Difference[]> {
  const [rows, theirs] = await Promise.all([ports.rows(fromMs, toMs), ports.theirs(processor, fromMs, toMs)]);
  const open = recorded.filter(({ atMs }) => isWithin(atMs, { fromMs, toMs }));
  const ours = {
    payments: rows[processor].payments + open.length,
    amountMinor: open.reduce((sum, one) => sum + one.amountMinor, rows[processor].amountMinor),
  };
  if (isEqual(ours, theirs)) return [];
  // Those at the other processor too: they are asked for here when there is more than ours.
  const singles = Math.max(ours.payments, theirs.payments, rows[otherProcessor(processor)].payments);
  if (fromMs < toMs && singles > maxSingles) {
    const middleMs = Math.floor((fromMs + toMs) / 2);
    const first = await compare(ports, processor, recorded, fromMs, middleMs);
    return [...first, ...(await compare(ports, processor, recorded, middleMs + 1, toMs))];
  }
  return compareSingles(ports, processor, { fromMs, toMs, ours, theirs });
}

async function compareSingles(
  ports: ReconcilePorts,
  processor: ProcessorName,
  window: { fromMs: number; toMs: number; ours: Totals; theirs: Totals },
): Promise<Difference[]> {
  const found: Difference[] = [];
  const { fromMs, toMs, ours, theirs } = window;
  let payments = theirs.payments - ours.payments;
  let amountMinor = theirs.amountMinor - ours.amountMinor;
  for (const payment of await ports.list(processor, "settled", fromMs, toMs)) {
    const record = await ports.find(processor, payment.id);
    if (record === undefined) {
      found.push({ kind: "not_at_processor", processor, payment });
      payments += 1;
      amountMinor += payment.amountMinor;
      continue;
    }
    const atMs = Date.parse(record.requestedAt);
    const inWindow = isWithin(atMs, window);
    if (record.amountMinor !== payment.amountMinor) {
      found.push({ kind: "other_amount", processor, payment, amountMinor: record.amountMinor });
      if (inWindow) amountMinor -= record.amountMinor - payment.amountMinor;
    }
    if (atMs !== payment.requestedAtMs) {
      found.push({ kind: "other_time", processor, payment, ...record });
      if (!inWindow) {
        payments += 1;
        amountMinor += payment.amountMinor;
      }
    }
  }
  if (payments !== 0 || amountMinor !== 0) {
    found.push({ kind: "unexplained", processor, fromMs, toMs, payments, amountMinor });
  }
  return found;
}

function isEqual(a: Totals, b: Totals): boolean {
  return a.payments === b.payments && a.amountMinor === b.amountMinor;
}
