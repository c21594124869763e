import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "@pricing-engine/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { makeProcessorServer, type ProcessorOptions } from "./server.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function open(options: Partial<ProcessorOptions> = {}) {
  const server = makeProcessorServer({ fee: 0.05, ...options }).listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const init = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
    const response = await fetch(base + path, { method, headers, ...init });
    const text = await response.text();
    return { status: response.status, body: text === "" ? undefined : (JSON.parse(text) as unknown) };
  };
  const admin = (method: string, path: string, body?: unknown) =>
    call(method, `/admin/${path}`, body, { "x-rinha-token": "123" });
  return {
    server,
    base,
    call,
    admin,
    set: (name: string, value: unknown) => admin("PUT", `configurations/${name}`, { [name]: value }),
  };
}

const requestedAt = "2026-01-31T12:00:00.123Z";
const payment = () => ({ correlationId: randomUUID(), amount: 19.9, requestedAt });

describe("the payment processor protocol", () => {
  it("records a payment once, and says what it has", async () => {
    const { call } = await open();
    const one = payment();
    expect((await call("POST", "/payments", one)).status).toBe(200);
    expect((await call("POST", "/payments", { ...one, amount: 1 })).status).toBe(422);
    expect(await call("GET", `/payments/${one.correlationId}`)).toEqual({ status: 200, body: one });
    expect((await call("GET", `/payments/${randomUUID()}`)).status).toBe(404);
  });

  it.each([
    "not json",
    {},
    { ...payment(), correlationId: "x" },
    { ...payment(), amount: "1" },
    { ...payment(), amount: 0.001 },
    { ...payment(), amount: 0 },
    { ...payment(), requestedAt: "soon" },
  ])("refuses %j with 400", async (body) => {
    const { call } = await open();
    expect((await call("POST", "/payments", body)).status).toBe(400);
  });

  it("is slow before it fails, and records nothing then", async () => {
    const { call, set } = await open();
    expect(await set("delay", 80)).toEqual({ status: 200, body: { config: "delay", was: 0, is: 80 } });
    expect(await set("failure", true)).toEqual({ status: 200, body: { config: "failure", was: false, is: true } });
    const one = payment();
    const startedMs = performance.now();
    expect((await call("POST", "/payments", one)).status).toBe(500);
    expect(performance.now() - startedMs).toBeGreaterThan(78);
    expect((await call("GET", `/payments/${one.correlationId}`)).status).toBe(404);
  });

  it("goes on when the client has left", async () => {
    const { server, base, call, set } = await open();
    await set("hold", true);
    const one = payment();
    // Not before the processor has read it whole: of what it cannot read nothing goes on.
    const leaving = new AbortController();
    server.once("request", (incoming: IncomingMessage) => incoming.once("end", () => leaving.abort()));
    const body = JSON.stringify(one);
    await expect(fetch(`${base}/payments`, { method: "POST", body, signal: leaving.signal })).rejects.toThrow();
    expect((await call("GET", `/payments/${one.correlationId}`)).status).toBe(404);
    await set("hold", false);
    await eventually(async () => expect((await call("GET", `/payments/${one.correlationId}`)).status).toBe(200));
  });

  it("works on so many at once, lets so many wait, and answers 429 to the rest", async () => {
    const { call, set } = await open({ maxRunning: 3, maxQueued: 2 });
    await set("delay", 200);
    await set("hold", true);
    const early: number[] = [];
    const calls = Array.from({ length: 8 }, async () => {
      const { status } = await call("POST", "/payments", payment());
      early.push(status);
      return status;
    });
    // Nobody leaves before all have come: the last of them are told at once.
    await eventually(() => expect(early).toEqual([429, 429, 429]));
    const startedMs = performance.now();
    await set("hold", false);
    expect((await Promise.all(calls)).sort()).toEqual([200, 200, 200, 200, 200, 429, 429, 429]);
    expect(performance.now() - startedMs).toBeGreaterThan(398);
  });

  it("tells its health once in the interval, to all callers together", async () => {
    const { call, set } = await open({ healthIntervalMs: 3_600_000 });
    await set("delay", 7);
    expect(await call("GET", "/payments/service-health")).toEqual({
      status: 200,
      body: { failing: false, minResponseTime: 7 },
    });
    expect((await call("GET", "/payments/service-health")).status).toBe(429);

    const often = await open({ healthIntervalMs: 1 });
    expect((await often.call("GET", "/payments/service-health")).status).toBe(200);
    await eventually(async () => expect((await often.call("GET", "/payments/service-health")).status).toBe(200));
  });

  it("sums up both ends inclusive, refunded ones too, for who has the token", async () => {
    const { call, admin } = await open();
    const one = payment();
    await call("POST", "/payments", one);
    const refund = `/payments/${one.correlationId}/refund`;
    expect([(await call("POST", refund)).status, (await call("POST", refund)).status]).toEqual([200, 200]);
    const sum = async (from: string, to: string) =>
      (await admin("GET", `payments-summary?${new URLSearchParams({ from, to })}`)).body;
    const counted = { totalRequests: 1, totalAmount: 19.9 };
    expect(await sum(requestedAt, requestedAt)).toMatchObject(counted);
    expect(await sum("2026-01-31T12:00:00.124Z", "2027-01-01T00:00:00Z")).toMatchObject({ totalRequests: 0 });
    expect(await sum("2025-01-01T00:00:00Z", "2026-01-31T12:00:00.122Z")).toMatchObject({ totalRequests: 0 });
    expect((await call("GET", "/admin/payments-summary")).status).toBe(401);
    expect((await admin("PUT", "configurations/token", { token: "other" })).status).toBe(204);
    expect((await admin("GET", "payments-summary")).status).toBe(401);
  });

  it("has no refunds where it has none, and forgets what it is told to", async () => {
    const { call, admin } = await open({ refunds: false });
    const one = payment();
    await call("POST", "/payments", one);
    expect((await call("POST", `/payments/${one.correlationId}/refund`)).status).toBe(405);
    expect((await admin("POST", "purge-payments")).status).toBe(200);
    expect((await call("GET", `/payments/${one.correlationId}`)).status).toBe(404);
  });

  it("remembers what it recorded across its own end", async () => {
    const folder = mkdtempSync(join(tmpdir(), "processor-"));
    closers.push(() => rmSync(folder, { recursive: true, force: true }));
    const ledgerFile = join(folder, "ledger.ndjson");
    const one = payment();
    await (await open({ ledgerFile })).call("POST", "/payments", one);
    const again = await open({ ledgerFile });
    expect((await again.call("POST", "/payments", one)).status).toBe(422);
  });
});
