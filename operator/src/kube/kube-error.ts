/** What went wrong between us and the API server. */
export class KubeError extends Error {
  override readonly name = "KubeError";
  /** HTTP's; 0 when no answer came. */
  readonly status: number;
  /** The API server's word (`NotFound`, `Conflict`, `Forbidden`, `Expired` …), or `Unreachable`, `Timeout`, `Garbled`. */
  readonly reason: string;
  readonly retryAfterMs: number | undefined;
  /** The same call may succeed later. */
  readonly retryable: boolean;

  constructor(
    message: string,
    options: {
      readonly status: number;
      readonly reason: string;
      readonly retryAfterMs?: number | undefined;
      readonly cause?: unknown;
    },
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.status = options.status;
    this.reason = options.reason;
    this.retryAfterMs = options.retryAfterMs;
    this.retryable = options.status === 0 || options.status === 429 || options.status >= 500;
  }
}

export const isNotFound = (error: unknown): boolean => error instanceof KubeError && error.status === 404;

/** What we are to make is there, and is somebody else's. */
export class NameTakenError extends Error {
  override readonly name = "NameTakenError";
}

/** `Forbidden`, of a call that the API server refuses until a person allows it; `NameTaken`, until a person renames one of the two. */
export const deniedReason = (error: unknown): string | undefined => {
  if (error instanceof NameTakenError) return "NameTaken";
  return error instanceof KubeError && error.status === 403 ? "Forbidden" : undefined;
};

/** What is denied stays so until a person does something: no use in asking every other second. */
export const deniedRetryMs = 30_000;

/** Somebody else wrote since we read: read again. Not what a `create` says of a name that is taken. */
export const isConflict = (error: unknown): boolean =>
  error instanceof KubeError && error.status === 409 && error.reason !== "AlreadyExists";

export const isAlreadyExists = (error: unknown): boolean =>
  error instanceof KubeError && error.status === 409 && error.reason === "AlreadyExists";

/** What was asked for is older than what the API server remembers: list again. */
export const isExpired = (error: unknown): boolean => error instanceof KubeError && error.status === 410;

/** @param retryAfter the header, in seconds */
export function errorOfAnswer(call: string, status: number, body: string, retryAfter: string | undefined): KubeError {
  const { message, reason, details } = parseStatus(body);
  const seconds = Number(retryAfter ?? details?.retryAfterSeconds ?? Number.NaN);
  return new KubeError(`${call}: ${message ?? `the API server answered ${status}`}`, {
    status,
    reason: reason ?? `HTTP ${status}`,
    retryAfterMs: Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined,
  });
}

export interface StatusObject {
  readonly code?: number;
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly retryAfterSeconds?: number };
}

/** A `Status` object, if it is one: proxies in between answer with anything. */
function parseStatus(body: string): StatusObject {
  try {
    const status: unknown = JSON.parse(body);
    return typeof status === "object" && status !== null && "kind" in status && status.kind === "Status"
      ? (status as StatusObject)
      : {};
  } catch {
    return {};
  }
}
