import { randomUUID } from "node:crypto";
import { eventually } from "@pricing-engine/testkit";
import { describe, expect, it } from "vitest";
import { runManualReview } from "../src/roles/manual-review.ts";
import { runReconcile } from "../src/roles/reconcile.ts";
import { runReviewed } from "../src/roles/reviewed.ts";
import { type RunningPayments, startPayments } from "./support/payments.ts";
import type { Processor } from "./support/processor.ts";

const second = 1000;
const toTime = (ms: number) => new Date(ms).toISOString();

type Shown = { id: string; state: string; processor: string | null; version: number; review: string | null };

async function readRows({ pool }: RunningPayments): Promise<Map<string, Shown>> {
  const rows = await pool.sql<Shown[]>`
    select correlation_id as id, state, processor, version, review from payment.payments order by id`;
  return new Map(rows.map((row) => [row.id, { ...row }]));
}

function makeTools(payments: RunningPayments) {
  const config = {
    ...payments.env,
    POSTGRES_URL: payments.databaseUrl,
    POSTGRES_POOL_SIZE: 2,
    PAYMENT_DEFAULT_URL: payments.processors.default.url,
    PAYMENT_FALLBACK_URL: payments.processors.fallback.url,
    PAYMENT_DEFAULT_TOKEN: "123",
    PAYMENT_FALLBACK_TOKEN: "123",
    PAYMENT_TIMEOUT_MS: 5_000,
  };
  const run = async (tool: (write: (line: string) => void) => Promise<number>) => {
    const lines: string[] = [];
    return { code: await tool((line) => void lines.push(line)), lines };
  };
  return {
    reconcile: (...args: string[]) => run((write) => runReconcile(args, config, write)),
    manualReview: () => run((write) => runManualReview(config, write)),
    reviewed: (...args: string[]) => run((write) => runReviewed(args, config, write)),
  };
}

describe("reconciliation with both processors", { timeout: 240_000 }, () => {
  it("names what is at both, or charged against our row, and has a person look; nothing else changes", async () => {
    await using payments = await startPayments();
    const { default: cheap, fallback: dear } = payments.processors;
    const { reconcile, manualReview, reviewed } = makeTools(payments);
    const worker = await payments.startWorker();
    const accepted = await payments.accept(30);
    await payments.settled(accepted);
    const makeOrder = () => ({ correlationId: randomUUID(), orderId: `order-${randomUUID()}`, amountMinor: 2000 });
    const [cancelled, expired] = [makeOrder(), makeOrder()];
    await payments.control({ action: "cancel", ...cancelled });
    const deadline = toTime(Date.now() - second);
    await payments.charge([{ source: "order", ...expired, deadline }]);
    const stateOf = async ({ correlationId }: { correlationId: string }) =>
      (await readRows(payments)).get(correlationId)?.state;
    await eventually(
      async () => expect([await stateOf(cancelled), await stateOf(expired)]).toEqual(["cancelled", "expired"]),
      { timeoutMs: 60_000 },
    );
    const to = toTime(Date.now() + 300 * second);
    expect(await reconcile("--to", to)).toMatchObject({ code: 0 });

    const recorded = new Map((await cheap.dump()).map((one) => [one.correlationId, new Date(one.requestedAt)]));
    const [atOnce, earlier, late] = [...recorded.keys()];
    const atMs = (id = "") => recorded.get(id)?.getTime() ?? Number.NaN;
    const record = (processor: Processor, correlationId = "", amountMinor = 2005, requestedAtMs = Date.now()) =>
      processor.record({ correlationId, amountMinor, requestedAt: new Date(requestedAtMs) });
    await record(dear, atOnce, 2005, atMs(atOnce));
    await record(dear, earlier, 1999, atMs(earlier) - second);
    // As if it had been held, tried there, and settled much later.
    await payments.pool.sql`
      update payment.payments set accepted_at_ms = accepted_at_ms - ${300 * second} where correlation_id = ${late ?? ""}`;
    const triedAtMs = atMs(late) - 200 * second;
    await record(dear, late, 2005, triedAtMs);
    const around = ["--from", toTime(triedAtMs - second), "--to", toTime(triedAtMs + second)];
    const narrow = await reconcile(...around);
    expect(narrow.lines).toEqual([
      `fallback: ${late}: fallback has charged 20.05 too: charged twice`,
      `${around[1]} to ${around[3]}: 1 differences`,
    ]);
    await record(dear, randomUUID(), 7);
    await record(cheap, cancelled.correlationId, 2000);
    await record(cheap, expired.correlationId, 2000);
    await cheap.fault("drop-before", 1);
    const [pinned] = await payments.accept(1);
    await eventually(async () => expect(["sending", "unknown"]).toContain(pinned && (await stateOf(pinned))), {
      timeoutMs: 60_000,
    });
    await record(dear, pinned?.correlationId);

    const problems = new Map([
      [atOnce, "fallback has charged 20.05 too: charged twice"],
      [earlier, "fallback has charged 19.99 too: charged twice"],
      [late, "fallback has charged 20.05 too: charged twice"],
      [cancelled.correlationId, "default has charged 20, though it is cancelled"],
      [expired.correlationId, "default has charged 20, though it is expired"],
      [pinned?.correlationId, "fallback has charged 20.05, though it is open at default"],
    ]);
    const dumps = async () => [await cheap.dump(), await dear.dump()];
    const before = { rows: await readRows(payments), dumps: await dumps() };
    const isAtRest = ({ id }: Shown) => id !== pinned?.correlationId;
    const { code, lines } = await reconcile("--to", to);
    expect(code).toBe(1);
    const named = [...problems].map(([id, problem]) => `${problem.split(" ", 1)}: ${id}: ${problem}`);
    expect(lines.slice(0, -2).sort()).toEqual(named.sort());
    expect(lines.at(-2)).toMatch(/^fallback: 1 payments, 0.07 more there than here/);
    expect([...(await readRows(payments)).values()].filter(isAtRest)).toEqual(
      [...before.rows.values()].filter(isAtRest),
    );

    await payments.pool.sql`update payment.payments set review = 'seen before' where correlation_id = ${earlier ?? ""}`;
    problems.set(earlier, `seen before; ${problems.get(earlier)}`);
    const audited = () => payments.pool.sql<
      { actor: string; id: string; reason: string; before: { review: unknown } }[]
    >`
      select actor, correlation_id as id, reason, before from payment.audit where action = 'marked'`;
    expect(await audited()).toEqual([]);
    // A second time finds the same, and has nothing to mark.
    for (const _time of ["first", "second"]) {
      expect(await reconcile("--to", to, "--repair", "--actor", "ada")).toEqual({ code: 1, lines });
      const marks = await audited();
      expect(marks.map(({ id }) => id).sort()).toEqual([...problems.keys()].sort());
      for (const { actor, id, reason, before } of marks) {
        const review = before.review === null ? reason : `${before.review}; ${reason}`;
        expect([actor, review]).toEqual(["ada", problems.get(id)]);
      }
    }
    for (const row of [...(await readRows(payments)).values()].filter(isAtRest)) {
      expect(row).toEqual({ ...before.rows.get(row.id), review: problems.get(row.id) ?? null });
    }
    expect(await dumps()).toEqual(before.dumps);
    const shown = await manualReview();
    expect(shown.code).toBe(1);
    expect(shown.lines).toContain(`${atOnce}  api  20.05 at default: ${problems.get(atOnce)}`);
    expect(shown.lines).toContain(
      `${cancelled.correlationId}  order ${cancelled.orderId}  20 at no processor: ${problems.get(cancelled.correlationId)}`,
    );
    expect(shown.lines.at(-1)).toBe("6 to review");
    expect((await reviewed(atOnce ?? "", "--reason", "refunded there")).code).toBe(0);
    expect((await manualReview()).lines.at(-1)).toBe("5 to review");

    // What the worker finds when it is settled at last stands beside it.
    await worker.stop();
    await cheap.fault("none", 0);
    await record(cheap, pinned?.correlationId, 1);
    await payments.startWorker();
    const settled = `${problems.get(pinned?.correlationId)}; the processor has the amount 0.01`;
    await eventually(
      async () => expect((await readRows(payments)).get(pinned?.correlationId ?? "")?.review).toBe(settled),
      { timeoutMs: 60_000 },
    );
  });
});
