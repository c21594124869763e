import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { runReconcile } from "../src/roles/reconcile.ts";
import { runReviewed } from "../src/roles/reviewed.ts";
import { getSummary, startPayments, unhurried } from "./support/payments.ts";

describe("the api, and reconciliation", { timeout: 240_000 }, () => {
  it("refuses bad input with the field, purges when allowed, and finds what a processor lost", async () => {
    const { routing, env } = unhurried;
    await using payments = await startPayments({ settings: { payment: { routing } }, env });
    const [api] = await Promise.all([payments.startApi(), payments.startWorker()]);
    const bad = [
      ["/payments/x", ":correlationId"],
      [`/payments/${randomUUID()}0`, ":correlationId"],
      ["/payments-summary?from=yesterday", "?from"],
      ["/payments-summary?to=2026-01-31", "?to"],
      ["/payments-summary?from=", "?from"],
      ["/payments-summary?to=2026-02-30T00:00:00Z", "?to"],
    ] as const;
    for (const [path, pointer] of bad) {
      const response = await fetch(`${api.url}${path}`);
      const { errors } = (await response.json()) as { errors?: { pointer: string }[] };
      expect([path, response.status, errors?.[0]?.pointer]).toEqual([path, 400, pointer]);
    }
    const accepted = await payments.accept(40);
    await payments.settled(accepted);

    const lines: string[] = [];
    const config = {
      ...payments.env,
      POSTGRES_URL: payments.databaseUrl,
      POSTGRES_POOL_SIZE: 2,
      PAYMENT_DEFAULT_URL: payments.processors.default.url,
      PAYMENT_FALLBACK_URL: payments.processors.fallback.url,
      PAYMENT_DEFAULT_TOKEN: "123",
      PAYMENT_FALLBACK_TOKEN: "123",
      PAYMENT_TIMEOUT_MS: 60_000,
    };
    const to = new Date(Date.now() + 60_000).toISOString();
    const reconcile = (...args: string[]) =>
      runReconcile(["--to", to, ...args], config, (line) => void lines.push(line));
    expect(await reconcile()).toBe(0);
    await payments.pool.sql`update payment.rollups set payments = payments + 1`;
    expect(await reconcile("--repair")).toBe(1);
    expect(lines.at(-2)).toBe("the rollups are added up again");
    expect(await reconcile()).toBe(0);
    expect((await getSummary(api)).default).toEqual({ totalRequests: 40, totalAmount: 802 });
    const [victim] = accepted;
    await payments.pool.sql`
      update payment.payments set amount_minor = 2006 where correlation_id = ${victim?.correlationId ?? ""}`;
    expect(await reconcile("--repair")).toBe(1);
    expect(lines.join("\n")).toContain(`${victim?.correlationId}: the processor has the amount 20.05`);
    const [row] = await payments.pool.sql<{ review: string | null }[]>`
      select review from payment.payments where review is not null`;
    expect(row?.review).toBe("the processor has the amount 20.05");
    const reviewed = () =>
      runReviewed([victim?.correlationId ?? "", "--reason", "paid back 0.01"], config, () => undefined);
    expect([await reviewed(), await reviewed()]).toEqual([0, 1]);
    const [seenTo] = await payments.pool.sql<{ review: string | null; was: string }[]>`
      select p.review, a.before->>'review' as was from payment.payments p join payment.audit a using (correlation_id)
      where a.action = 'reviewed'`;
    expect(seenTo).toEqual({ review: null, was: "the processor has the amount 20.05" });

    const purged = await fetch(`${api.url}/purge-payments`, { method: "POST" });
    expect(purged.status).toBe(200);
    expect((await getSummary(api)).default.totalRequests).toBe(0);
    // What it forgot may come again; the processor still knows.
    await payments.charge([{ source: "api", ...(victim ?? { correlationId: "", amountMinor: 1 }) }]);
    await payments.settled(victim === undefined ? [] : [victim]);
    expect((await payments.processors.default.dump()).length).toBe(40);
  });

  it("does not purge unless it may", async () => {
    await using payments = await startPayments({ settings: { gateway: {} } });
    const api = await payments.startApi();
    expect((await fetch(`${api.url}/purge-payments`, { method: "POST" })).status).toBe(403);
  });
});
