import { paymentsSummaryResponse } from "@pricing-engine/contracts";
import type postgres from "postgres";
import { z } from "zod";
import { type Recorded, type Row, sumUp, type Tale, type Tales } from "./payments.ts";

const entrySchema = z.object({ correlationId: z.string(), amountMinor: z.int(), requestedAtMs: z.int() });

/** Everything that a simulated processor has recorded. */
export async function readProcessor(url: string, token = "123"): Promise<readonly Recorded[]> {
  const response = await fetch(`${url}/admin/dump`, { headers: { "x-rinha-token": token } });
  if (!response.ok) throw new Error(`${url}/admin/dump answered ${response.status}`);
  const lines = (await response.text()).split("\n");
  return lines.filter((line) => line !== "").map((line) => entrySchema.parse(JSON.parse(line)));
}

/** Payments of clients; those of orders have ids of their own. */
export async function readRows(sql: postgres.Sql): Promise<readonly Row[]> {
  const rows = await sql`
    select correlation_id::text as "correlationId", state, processor, amount_minor::float8 as "amountMinor",
      requested_at_ms::float8 as "requestedAtMs"
    from payment.payments where source = 'api'`;
  return rows as unknown as readonly Row[];
}

export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Windows for which the engine's summary is not what the processors recorded. */
export async function findSummaryFaults(
  gatewayUrl: string,
  dumps: { readonly default: readonly Recorded[]; readonly fallback: readonly Recorded[] },
  windows: readonly Window[],
): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const { fromMs, toMs } of windows) {
    const query = new URLSearchParams({ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() });
    const response = await fetch(`${gatewayUrl}/payments-summary?${query}`);
    const told = paymentsSummaryResponse.parse(await response.json());
    for (const name of ["default", "fallback"] as const) {
      const due = sumUp(dumps[name], fromMs, toMs);
      if (told[name].totalRequests === due.totalRequests && told[name].totalAmount === due.totalAmount) continue;
      faults.push(`${query} ${name}: ${JSON.stringify(told[name])}, not ${JSON.stringify(due)}`);
    }
  }
  return faults;
}

/** Windows that cover all, and some that begin and end exactly where payments are. */
export function pickWindows(records: readonly Recorded[], count: number): readonly Window[] {
  const times = records.map(({ requestedAtMs }) => requestedAtMs).toSorted((a, b) => a - b);
  const first = times[0] ?? 0;
  const last = times.at(-1) ?? 0;
  const edges = Array.from({ length: count }, (_, index) => ({
    fromMs: times[Math.floor((index * times.length) / (2 * count))] ?? first,
    toMs: times[times.length - 1 - Math.floor((index * times.length) / (3 * count))] ?? last,
  }));
  return [{ fromMs: first, toMs: last }, { fromMs: first + 1, toMs: last - 1 }, ...edges];
}

const letters: Readonly<Record<string, Tale["told"]>> = { A: "accepted", R: "refused", U: "unanswered" };

/** Lines that hold `PAYMENT <A|R|U> <correlationId> <amountMinor>` somewhere, as k6 writes them. */
export function parseTales(text: string): Tales {
  const tales = new Map<string, Tale>();
  for (const [, letter = "", id = "", amount] of text.matchAll(/PAYMENT ([ARU]) ([0-9a-f-]{36}) (\d+)/g)) {
    const told = letters[letter];
    if (told !== undefined) tales.set(id, { told, amountMinor: Number(amount) });
  }
  return tales;
}
