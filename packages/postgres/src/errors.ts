/** Socket-level codes of Node and of postgres.js: the server could not be reached, or went away. */
const connectionCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENETDOWN",
  "EHOSTDOWN",
  "ECONNABORTED",
  "EADDRNOTAVAIL",
  "ENOBUFS",
  "EMFILE",
  "ENFILE",
  "ENOENT",
  "CONNECT_TIMEOUT",
  "CONNECTION_CLOSED",
  "CONNECTION_DESTROYED",
  "CONNECTION_ENDED",
  "POSTGRES_DEADLINE",
  "POSTGRES_CONNECTION_LOST",
  "postgres_unavailable",
]);

/**
 * SQLSTATEs that say "not now" and nothing about the statement: connection exceptions (08), too many connections,
 * shutdown and recovery (57P01..57P05), the idle-in-transaction kill, statement and transaction time-outs (57014, 25P04), read-only after a
 * failover (25006), a full or failing disk (53, 58), and a login that is refused (28, 3D000), as while a password is changed.
 */
const outageStates = /^(08...|53...|57P0.|57014|25P0[34]|25006|58...|28...|3D000)$/;
/** The server's certificate, or the handshake. */
const tlsCodes = /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_SELF_SIGNED_|SELF_SIGNED_CERT_|UNABLE_TO_)/;

/** Our own driver-level faults, with codes beside those of the sockets. */
export class PostgresConnectionError extends Error {
  readonly code: "POSTGRES_DEADLINE" | "POSTGRES_CONNECTION_LOST";

  constructor(code: "POSTGRES_DEADLINE" | "POSTGRES_CONNECTION_LOST", message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "PostgresConnectionError";
    this.code = code;
  }
}

/** The chain error → cause → …, bounded: drizzle and AppError wrap what the driver threw. */
function* causes(error: unknown): Generator<object> {
  let current = error;
  for (let depth = 0; depth < 8 && typeof current === "object" && current !== null; depth += 1) {
    yield current;
    current = "cause" in current ? current.cause : undefined;
  }
}

function codeOf(error: object): string | undefined {
  return "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** The five-character SQLSTATE in an error or one of its causes. */
export function findSqlState(error: unknown): string | undefined {
  for (const cause of causes(error)) {
    const code = codeOf(cause);
    if (code !== undefined && /^[0-9A-Z]{5}$/.test(code) && "severity" in cause) {
      return code;
    }
  }
  return undefined;
}

/**
 * Whether Postgres (or the way to it) is what failed: worth waiting for, and never the message's fault.
 * Constraint violations (23xxx), bad input (22xxx) and unknown errors are not.
 */
export function isPostgresOutage(error: unknown): boolean {
  for (const cause of causes(error)) {
    const code = codeOf(cause);
    if (code !== undefined && (connectionCodes.has(code) || outageStates.test(code) || tlsCodes.test(code))) {
      return true;
    }

    if (cause instanceof AggregateError && cause.errors.some(isPostgresOutage)) {
      return true;
    }
  }
  return false;
}

/** A serialization failure or a deadlock: the transaction was rolled back and may be run again as it is. */
export function isConflict(error: unknown): boolean {
  const state = findSqlState(error);
  return state === "40001" || state === "40P01";
}

/** A lock was not had within `lock_timeout`. */
export function isLockTimeout(error: unknown): boolean {
  return findSqlState(error) === "55P03";
}
