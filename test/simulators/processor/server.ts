import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { Admission } from "./admission.ts";
import { type Fault, isFault, makeFaultPicker, noFault } from "./faults.ts";
import { Ledger } from "./ledger.ts";
import { answer, parsePayment, parseWindow, readJson } from "./protocol.ts";

/** A processor of the "Payment processor protocol", with the faults that real ones have. */
export type ProcessorOptions = {
  /** Share of the amount that the processor keeps, for its own summary. */
  fee: number;
  token?: string;
  /** Where the record is kept beyond the process; in memory alone when absent. */
  ledgerFile?: string;
  /** Whether it knows refunds at all. */
  refunds?: boolean;
  maxRunning?: number;
  maxQueued?: number;
  /** One call of service-health in this time, for all callers together. */
  healthIntervalMs?: number;
};

type State = {
  token: string;
  delayMs: number;
  /** What every payment waits for that has its place, until all are let go. */
  held: PromiseWithResolvers<void> | undefined;
  failing: boolean;
  fault: Fault;
  refunds: boolean;
  lastHealthAtMs: number;
};
type Handler = (request: IncomingMessage, response: ServerResponse, url: URL, id: string) => Promise<void> | void;

export function makeProcessorServer(options: ProcessorOptions): Server {
  const { fee, healthIntervalMs = 5000 } = options;
  const ledger = new Ledger(options.ledgerFile);
  const admission = new Admission({ maxRunning: options.maxRunning ?? 800, maxQueued: options.maxQueued ?? 500 });
  const pickFault = makeFaultPicker();
  const state: State = {
    token: options.token ?? "123",
    delayMs: 0,
    held: undefined,
    failing: false,
    fault: noFault,
    refunds: options.refunds ?? true,
    lastHealthAtMs: Number.NEGATIVE_INFINITY,
  };

  const pay: Handler = async (request, response) => {
    const payment = parsePayment(await readJson(request));
    if (payment === undefined) return answer(response, 400, { message: "not a payment" });
    const place = admission.enter();
    if (place === undefined) return answer(response, 429, { message: "too many payments at once" });
    await place;
    try {
      if (state.held !== undefined) await state.held.promise;
      if (state.delayMs > 0) await delay(state.delayMs);
      if (state.failing) return answer(response, 500, { message: "failing" });
      const fault = pickFault(state.fault);
      if (fault === "drop-before") return void request.socket.destroy();
      if (fault === "hang-before") return;
      if (fault === "page") {
        response.writeHead(200, { "content-type": "text/html" }).end("<html>It works!</html>");
        return;
      }
      const recorded = ledger.record({ ...payment, recordedAt: new Date().toISOString(), refunded: false });
      switch (fault) {
        case "drop-after":
          request.socket.destroy();
          return;
        case "hang-after":
          return;
        case "garbage":
          request.socket.end("\u0001\u0002 not http at all\r\n\r\n{");
          return;
        case "error-after":
          return answer(response, 502, "<html>Bad Gateway</html>");
        case "trickle":
          return await trickle(response, recorded ? 200 : 422);
        case "none":
          if (!recorded) return answer(response, 422, { message: "correlationId is already recorded" });
          return answer(response, 200, { message: "payment processed successfully" });
      }
    } finally {
      admission.release();
    }
  };

  const find: Handler = (_request, response, _url, id) => {
    const entry = ledger.find(id);
    if (entry === undefined) return answer(response, 404, { message: "not found" });
    const { correlationId, amountMinor, requestedAt } = entry;
    answer(response, 200, { correlationId, amount: amountMinor / 100, requestedAt });
  };

  const refund: Handler = (_request, response, _url, id) => {
    if (!state.refunds) return answer(response, 405, { message: "no refunds here" });
    if (state.failing) return answer(response, 500, { message: "failing" });
    if (!ledger.refund(id)) return answer(response, 404, { message: "not found" });
    answer(response, 200, { message: "refunded" });
  };

  const health: Handler = (_request, response) => {
    const now = performance.now();
    if (now - state.lastHealthAtMs < healthIntervalMs) return answer(response, 429, { message: "too soon" });
    state.lastHealthAtMs = now;
    answer(response, 200, { failing: state.failing, minResponseTime: state.delayMs });
  };

  const summary: Handler = (_request, response, url) => {
    const window = parseWindow(url.searchParams);
    if (window === undefined) return answer(response, 400, { message: "from and to are times" });
    const { totalRequests, totalAmountMinor } = ledger.summary(window.fromMs, window.toMs);
    const totalFee = Math.round(totalAmountMinor * fee) / 100;
    answer(response, 200, { totalRequests, totalAmount: totalAmountMinor / 100, totalFee, feePerTransaction: fee });
  };

  const hold = (isHeld: boolean): void => {
    if (!isHeld) state.held?.resolve();
    state.held = isHeld ? (state.held ?? Promise.withResolvers()) : undefined;
  };

  const configure: Handler = async (request, response, _url, name) => {
    const body = ((await readJson(request)) ?? {}) as Record<string, unknown>;
    const value = body[name];
    const current = () => ({
      token: state.token,
      delay: state.delayMs,
      hold: state.held !== undefined,
      failure: state.failing,
      fault: state.fault,
      refunds: state.refunds,
    });
    const was = current();
    if (name === "token" && typeof value === "string") {
      state.token = value;
      return answer(response, 204);
    }
    if (name === "delay" && typeof value === "number" && value >= 0) state.delayMs = value;
    else if (name === "hold" && typeof value === "boolean") hold(value);
    else if (name === "failure" && typeof value === "boolean") state.failing = value;
    else if (name === "refunds" && typeof value === "boolean") state.refunds = value;
    else if (name === "fault" && isFault(body)) state.fault = { kind: body.kind, share: body.share };
    else return answer(response, 400, { message: `not a setting of ${name}` });
    const is = current();
    answer(response, 200, { config: name, was: was[name as keyof typeof was], is: is[name as keyof typeof is] });
  };

  const purge: Handler = (_request, response) => {
    ledger.purge();
    answer(response, 200, { message: "All payments purged." });
  };

  const dump: Handler = (_request, response) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    for (const entry of ledger.dump()) response.write(`${JSON.stringify(entry)}\n`);
    response.end();
  };

  const routes: { method: string; path: RegExp; admin?: true; handle: Handler }[] = [
    { method: "POST", path: /^\/payments$/, handle: pay },
    { method: "GET", path: /^\/payments\/service-health$/, handle: health },
    { method: "GET", path: /^\/payments\/([^/]+)$/, handle: find },
    { method: "POST", path: /^\/payments\/([^/]+)\/refund$/, handle: refund },
    { method: "GET", path: /^\/admin\/payments-summary$/, admin: true, handle: summary },
    {
      method: "PUT",
      path: /^\/admin\/configurations\/(token|delay|hold|failure|fault|refunds)$/,
      admin: true,
      handle: configure,
    },
    { method: "POST", path: /^\/admin\/purge-payments$/, admin: true, handle: purge },
    { method: "GET", path: /^\/admin\/dump$/, admin: true, handle: dump },
  ];

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://processor");
    for (const { method, path, admin, handle } of routes) {
      const match = request.method === method ? path.exec(url.pathname) : null;
      if (match === null) continue;
      if (admin && request.headers["x-rinha-token"] !== state.token) return answer(response, 401, { message: "token" });
      return await handle(request, response, url, match[1]?.toLowerCase() ?? "");
    }
    answer(response, 404, { message: "not found" });
  }

  return createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    route(request, response).catch(() => response.destroy());
  });
}

async function trickle(response: ServerResponse, status: number): Promise<void> {
  const body = JSON.stringify({ message: "slowly, but surely" });
  response.writeHead(status, { "content-type": "application/json", "content-length": body.length });
  for (const character of body) {
    if (response.destroyed) return;
    response.write(character);
    await delay(200);
  }
  response.end();
}
