import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, expect, it } from "vitest";

interface Report {
  readonly outcomes: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** For three calls one after another; for two with a pause longer than they are kept; by the pool's own connect. */
  readonly connections: { readonly kept: number; readonly closed: number; readonly connected: number };
  readonly proxied: readonly string[];
  readonly loaded: readonly string[];
}

const fixture = join(import.meta.dirname, "../../test/fixtures/http-calls.ts");

/** In a process of its own: all of undici gives its methods to the classes that our part has, too. */
async function callWith(which: "ours" | "whole"): Promise<Report> {
  const { stdout } = await promisify(execFile)(process.execPath, [fixture, which], { timeout: 25_000 });
  return JSON.parse(stdout) as Report;
}

let ours: Report;
let whole: Report;
beforeAll(async () => {
  [ours, whole] = await Promise.all([callWith("ours"), callWith("whole")]);
}, 30_000);

it("does what all of undici does", () => {
  const { loaded: _ours, ...done } = ours;
  const { loaded: _whole, ...expected } = whole;
  expect(done).toEqual(expected);
});

it("keeps connections as long as it is told, and proxies", () => {
  expect(ours.connections).toEqual({ kept: 1, closed: 2, connected: 1 });
  expect(ours.proxied).toHaveLength(1);
});

it.each([
  ["no headers in time", { isThrown: false, code: "UND_ERR_HEADERS_TIMEOUT" }],
  ["no body in time", { isThrown: false, code: "UND_ERR_BODY_TIMEOUT" }],
  ["a broken connection", { isThrown: false, code: "UND_ERR_SOCKET" }],
  ["nobody listens", { isThrown: false, code: "ECONNREFUSED" }],
  ["aborted before", { isThrown: false, name: "AbortError" }],
  ["aborted for a reason", { isThrown: false, reason: "enough" }],
  ["aborted while it waits", { isThrown: false, name: "TimeoutError" }],
  ["no URL", { isThrown: true, code: "ERR_INVALID_URL" }],
  ["another protocol", { isThrown: true, code: "UND_ERR_INVALID_ARG" }],
  ["GET without a method, a query", { statusCode: 200, body: expect.stringContaining('"url":"/a/b?c=d%20e&f"') }],
  ["PUT for a body", { body: expect.stringContaining('"method":"PUT","url":"/put","body":"text","sent":"1"') }],
  ["POST of a stream", { body: expect.stringContaining('"method":"POST","url":"/stream","body":"onetwo"') }],
])("%s", (name, expected) => {
  expect(ours.outcomes[name]).toMatchObject(expected);
});

it("loads no more than what a request needs", () => {
  const spare = /^(?:index\.js|lib\/(?:web|mock|cache|interceptor)\/)/;
  expect(whole.loaded.filter((file) => spare.test(file)).length).toBeGreaterThan(40);
  expect(ours.loaded).toContain("lib/dispatcher/pool.js");
  expect(ours.loaded.filter((file) => spare.test(file))).toEqual([]);
});
