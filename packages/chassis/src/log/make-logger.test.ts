import { describe, expect, it } from "vitest";
import { AppError } from "../errors/index.ts";
import { withSpan } from "../telemetry/index.ts";
import { type LogLevel, makeLogger } from "./make-logger.ts";

function capture(level?: LogLevel) {
  const text: string[] = [];
  const destination = { write: (line: string) => void text.push(line) };
  const logger = makeLogger({ name: "test", destination, ...(level === undefined ? {} : { level }) });
  return { logger, text: () => text.join(""), lines: () => text.map((line) => JSON.parse(line)) };
}

describe("what a log never shows", () => {
  it.each([
    ["authorization", { headers: { authorization: "s3cret" } }],
    ["x-api-key", { headers: { "x-api-key": "s3cret" } }],
    ["x-api-key of a request", { request: { headers: { "x-api-key": "s3cret" } } }],
    ["cookie", { request: { headers: { cookie: "s3cret" } } }],
    ["password", { password: "s3cret" }],
    ["password, deeper", { connections: { postgres: { password: "s3cret" } } }],
    ["a key's secret", { key: { key_secret: "s3cret" } }],
    ["a customer", { customer: { customer_id: "s3cret" } }],
    ["where somebody is", { body: { user_location: "s3cret" } }],
    ["an address", { customer: { email: "s3cret" } }],
    ["a URL's password in an error", { err: new Error("connect postgres://user:s3cret@db:5432/x failed") }],
    [
      "a URL's password in a cause",
      { err: new Error("no", { cause: new Error("redis://:s3cret@cache:6379 is away") }) },
    ],
  ])("%s", (_what, fields) => {
    const { logger, text } = capture();
    logger.info(fields, "seen");
    expect(text()).toContain('"msg":"seen"');
    expect(text()).not.toContain("s3cret");
  });
});

it("keeps what explains an error of ours", () => {
  const { logger, lines } = capture();
  logger.error({ err: new AppError("commit_unknown", { context: { schema: "pricing" } }) }, "failed");
  expect(lines()).toMatchObject([{ level: "error", err: { code: "commit_unknown", context: { schema: "pricing" } } }]);
});

it("names the trace that a line belongs to", async () => {
  const { logger, lines } = capture();
  const context = await withSpan("work", {}, (span) => {
    logger.info("inside");
    return span.spanContext();
  });
  logger.info("outside");
  expect(lines()[0]).toMatchObject({ traceId: context.traceId, spanId: context.spanId });
  expect(lines()[1]).not.toHaveProperty("traceId");
});

it("changes its level while it runs, with its children, but for those that chose their own", () => {
  const { logger, lines } = capture("warn");
  const child = logger.child({ component: "kafka" });
  const grandchild = child.child({ group: "worker" });
  const own = logger.child({ component: "quiet" }, { level: "error" });
  const say = () => {
    for (const one of [logger, child, grandchild, own]) one.debug("said");
    return lines().length;
  };
  expect(say()).toBe(0);
  logger.level = "debug";
  expect(say()).toBe(3);
  logger.level = "warn";
  expect(say()).toBe(3);
});
