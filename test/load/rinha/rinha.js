/*
 * The load of the "Rinha de Backend 2025" final, for k6: 1 to 603 users in 300 s, one payment a second each, while the processors
 * get slow and fail by a script. Every 10 s the summary is compared with the processors' own, for a window that ended 2 s ago.
 *
 * k6 run -e TARGET=http://127.0.0.1:9999 -e DEFAULT=http://127.0.0.1:8001 -e FALLBACK=http://127.0.0.1:8002 -e SCALE=0.2 rinha.js
 *
 * SCALE shrinks the number of users, SECONDS the time and with it the stages. Without DEFAULT it only pays: for a null backend. What each payment was told is
 * a line `PAYMENT A|R|U <id> <amountMinor> <startedMs> <tookMs>` of the console output, and the result one of `RESULT <json>`.
 */
import { sleep } from "k6";
import http from "k6/http";
import { Counter } from "k6/metrics";

const { TARGET, DEFAULT, FALLBACK, TOKEN = "123" } = __ENV;
const users = Math.max(1, Math.round(603 * Number(__ENV.SCALE || "1")));
const amount = 20.05;
const amountMinor = 2005;
const seconds = Number(__ENV.SECONDS || "300");
const pace = seconds / 300;
const hasProcessors = DEFAULT !== undefined && DEFAULT !== "";

/** When (s), default's delay (ms) and whether it fails, then the fallback's. */
const stages = [
  [1, 0, false, 0, false],
  [30, 1000, false, 0, false],
  [60, 500, false, 0, false],
  [90, 2000, true, 1000, false],
  [120, 5000, true, 5, false],
  [150, 0, false, 5, true],
  [180, 100, false, 5, false],
  [210, 50, false, 0, false],
  [240, 103, false, 10, false],
  [270, 2000, false, 0, false],
];

const accepted = new Counter("payments_accepted");
const refused = new Counter("payments_refused");
const unanswered = new Counter("payments_unanswered");
const inconsistent = new Counter("inconsistent_windows");
const checked = new Counter("checked_windows");

const once = { executor: "shared-iterations", vus: 1, iterations: 1, maxDuration: "20s" };

export const options = {
  summaryTrendStats: ["p(50)", "p(90)", "p(99)", "max"],
  discardResponseBodies: true,
  noConnectionReuse: false,
  thresholds: { "http_req_duration{scenario:payments}": ["p(99)>=0"] },
  scenarios: {
    payments: {
      executor: "ramping-vus",
      exec: "pay",
      startVUs: 1,
      stages: [{ duration: `${seconds}s`, target: users }],
      gracefulRampDown: "0s",
      gracefulStop: "10s",
    },
    ...(hasProcessors
      ? {
          consistency: {
            executor: "constant-vus",
            exec: "compare",
            vus: 1,
            startTime: "15s",
            duration: `${seconds - 15}s`,
            gracefulStop: "0s",
          },
          ...Object.fromEntries(
            stages.map(([atSeconds], index) => [
              `stage_${index}`,
              {
                ...once,
                exec: "stage",
                startTime: `${Math.round(atSeconds * pace * 1000)}ms`,
                env: { STAGE: String(index) },
              },
            ]),
          ),
        }
      : {}),
  },
};

const admin = { headers: { "X-Rinha-Token": TOKEN, "Content-Type": "application/json" }, tags: { kind: "admin" } };

function configure(processor, delayMs, failing) {
  http.put(`${processor}/admin/configurations/delay`, JSON.stringify({ delay: delayMs }), admin);
  http.put(`${processor}/admin/configurations/failure`, JSON.stringify({ failure: failing }), admin);
}

export function setup() {
  if (!hasProcessors) return;
  for (const processor of [DEFAULT, FALLBACK]) {
    configure(processor, 0, false);
    http.post(`${processor}/admin/purge-payments`, null, admin);
  }
}

export function stage() {
  const [, delay, failing, fallbackDelay, fallbackFailing] = stages[Number(__ENV.STAGE)];
  configure(DEFAULT, delay, failing);
  configure(FALLBACK, fallbackDelay, fallbackFailing);
}

export function pay() {
  const startedMs = Date.now();
  const correlationId = crypto.randomUUID();
  const response = http.post(`${TARGET}/payments`, JSON.stringify({ correlationId, amount }), {
    headers: { "Content-Type": "application/json" },
    timeout: "60s",
  });
  let letter = "R";
  if (response.status >= 200 && response.status < 300) {
    letter = "A";
    accepted.add(1);
  } else if (response.status === 0) {
    letter = "U";
    unanswered.add(1);
  } else refused.add(1);
  if (hasProcessors) {
    console.log(
      `PAYMENT ${letter} ${correlationId} ${amountMinor} ${startedMs} ${response.timings.duration.toFixed(1)}`,
    );
  }
  const restMs = 1000 - (Date.now() - startedMs);
  if (restMs > 0) sleep(restMs / 1000);
}

function summaries(from, to) {
  const query = `from=${from}&to=${to}`;
  const wanted = { responseType: "text", tags: { kind: "check" } };
  const [ours, cheap, fallback] = http.batch([
    ["GET", `${TARGET}/payments-summary?${query}`, null, wanted],
    ["GET", `${DEFAULT}/admin/payments-summary?${query}`, null, { ...admin, ...wanted }],
    ["GET", `${FALLBACK}/admin/payments-summary?${query}`, null, { ...admin, ...wanted }],
  ]);
  return { ours: ours.status === 200 ? ours.json() : undefined, default: cheap.json(), fallback: fallback.json() };
}

const isSame = (a, b) =>
  a.totalRequests === b.totalRequests && Math.round(a.totalAmount * 100) === Math.round(b.totalAmount * 100);

export function compare() {
  const now = Date.now();
  const from = new Date(now - 15_000).toISOString();
  const to = new Date(now - 2_000).toISOString();
  const { ours, ...theirs } = summaries(from, to);
  checked.add(1);
  if (ours === undefined || !isSame(ours.default, theirs.default) || !isSame(ours.fallback, theirs.fallback)) {
    inconsistent.add(1);
    console.error(`INCONSISTENT ${from} ${to} ${JSON.stringify({ ours, ...theirs })}`);
  }
  sleep(10);
}

export function handleSummary({ metrics }) {
  const count = (name) => (metrics[name] === undefined ? 0 : metrics[name].values.count);
  const latency = metrics["http_req_duration{scenario:payments}"].values;
  const result = {
    users,
    accepted: count("payments_accepted"),
    refused: count("payments_refused"),
    unanswered: count("payments_unanswered"),
    inconsistent: count("inconsistent_windows"),
    checked: count("checked_windows"),
    p50Ms: latency["p(50)"],
    p99Ms: latency["p(99)"],
    maxMs: latency.max,
  };
  return { stdout: `RESULT ${JSON.stringify(result)}\n` };
}
