import { AppError } from "@pricing-engine/chassis/errors";
import { describe, expect, it } from "vitest";
import { findSqlState, isConflict, isLockTimeout, isPostgresOutage, PostgresConnectionError } from "./errors.ts";

const server = (code: string): Error => Object.assign(new Error("from the server"), { code, severity: "ERROR" });
const socket = (code: string): Error => Object.assign(new Error("from the socket"), { code });

describe("isPostgresOutage", () => {
  it.each([
    ["connection refused", socket("ECONNREFUSED")],
    ["connection reset", socket("ECONNRESET")],
    ["closed by postgres.js", socket("CONNECTION_CLOSED")],
    ["connect time-out", socket("CONNECT_TIMEOUT")],
    ["several addresses refused", new AggregateError([socket("ECONNREFUSED"), socket("ECONNREFUSED")])],
    ["admin shutdown", server("57P01")],
    ["starting up", server("57P03")],
    ["too many connections", server("53300")],
    ["disk full", server("53100")],
    ["connection failure", server("08006")],
    ["statement time-out", server("57014")],
    ["read-only after a failover", server("25006")],
    ["a password that is being changed", server("28P01")],
    ["no such database", server("3D000")],
    ["no ports left", socket("EADDRNOTAVAIL")],
    ["no descriptors left", socket("EMFILE")],
    ["a certificate that is over", socket("CERT_HAS_EXPIRED")],
    ["our deadline", new PostgresConnectionError("POSTGRES_DEADLINE", "late")],
    ["wrapped by drizzle", new Error("Failed query", { cause: server("57P01") })],
    ["wrapped twice", new AppError("commit_unknown", { cause: new Error("x", { cause: socket("EPIPE") }) })],
    ["mapped", new AppError("postgres_unavailable")],
  ])("says yes to %s", (_what, error) => {
    expect(isPostgresOutage(error)).toBe(true);
  });

  it.each([
    ["unique violation", server("23505")],
    ["no partition for the row", server("23514")],
    ["division by zero", server("22012")],
    ["syntax error", server("42601")],
    ["deadlock", server("40P01")],
    ["lock time-out", server("55P03")],
    ["a bug", new TypeError("x is undefined")],
    ["another AppError", new AppError("not_found")],
    ["nothing", undefined],
    ["a string", "57P01"],
  ])("says no to %s", (_what, error) => {
    expect(isPostgresOutage(error)).toBe(false);
  });

  it("ends on a cause that is its own", () => {
    const error: Error & { cause?: unknown } = new Error("loop");
    error.cause = error;
    expect(isPostgresOutage(error)).toBe(false);
  });
});

describe("the other kinds", () => {
  it("reads the state through wrappers", () => {
    const wrapped = new Error("Failed query", { cause: server("40001") });
    expect(findSqlState(wrapped)).toBe("40001");
    expect(isConflict(wrapped)).toBe(true);
    expect(isConflict(server("40P01"))).toBe(true);
    expect(isConflict(server("23505"))).toBe(false);
    expect(isLockTimeout(server("55P03"))).toBe(true);
    // A socket's code of five letters is not a SQLSTATE.
    expect(findSqlState(socket("EPIPE"))).toBeUndefined();
  });
});
