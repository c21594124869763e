import { AppError, type FieldError } from "./app-error.ts";
import { type ErrorCode, errorCatalogue, errorType } from "./catalogue.ts";

/** RFC 9457 body. */
export type Problem = {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ErrorCode;
  traceId: string;
  errors?: readonly FieldError[];
  [extension: string]: unknown;
};

/**
 * What the client is told. An unknown error becomes `internal`, and no 5xx carries more than its title: causes,
 * details and field names of our own making stay in the log.
 */
export function toProblem(error: unknown, traceId: string): Problem {
  const code = error instanceof AppError ? error.code : "internal";
  const { status, title } = errorCatalogue[code];
  const problem: Problem = { type: errorType(code), title, status, detail: title, code, traceId };
  if (!(error instanceof AppError) || status >= 500) return problem;
  return {
    ...error.extensions,
    ...problem,
    detail: error.detail ?? title,
    ...(error.fieldErrors === undefined ? {} : { errors: error.fieldErrors }),
  };
}
