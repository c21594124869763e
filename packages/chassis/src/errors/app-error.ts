import { type ErrorCode, errorCatalogue } from "./catalogue.ts";

/** One offending field: `pointer` is a JSON pointer into the body (`/items/0/price`) or `?name` for a query parameter. */
export type FieldError = { pointer: string; code: string; message: string };

export type AppErrorOptions = {
  /** Told to the client, except for 5xx. */
  detail?: string;
  cause?: unknown;
  /** For the log alone. */
  context?: Record<string, unknown>;
  fieldErrors?: readonly FieldError[];
  /** Seconds; becomes `Retry-After`. */
  retryAfterSeconds?: number;
  /** Overrides the catalogue, e.g. when this one occurrence is final. */
  retryable?: boolean;
  /** Further members of the problem body (RFC 9457 extensions); left out for 5xx. */
  extensions?: Record<string, unknown>;
  /** Further headers of the answer, e.g. `Allow`. */
  headers?: Record<string, string>;
};

/** A fault from the catalogue. Expected outcomes are discriminated unions instead. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly detail: string | undefined;
  readonly context: Record<string, unknown>;
  readonly fieldErrors: readonly FieldError[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly extensions: Record<string, unknown> | undefined;
  readonly headers: Record<string, string> | undefined;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    super(options.detail ?? errorCatalogue[code].title, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "AppError";
    this.code = code;
    this.retryable = options.retryable ?? errorCatalogue[code].retryable;
    this.detail = options.detail;
    this.context = options.context ?? {};
    this.fieldErrors = options.fieldErrors;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.extensions = options.extensions;
    this.headers = options.headers;
  }

  get status(): number {
    return errorCatalogue[this.code].status;
  }
}

/** For the end of an exhaustive switch; throws when a case was forgotten and the types were lied to. */
export function assertNever(value: never, what = "value"): never {
  throw new TypeError(`unexpected ${what}: ${JSON.stringify(value)}`);
}
