/**
 * Every fault that a caller, an operator or a log can see, in one place. A code never changes its meaning once it is
 * released: clients branch on it. `retryable` says whether the same call may succeed later without being changed.
 */
export const errorCatalogue = {
  // The request itself.
  invalid_json: { status: 400, title: "The body is not valid JSON", retryable: false, logLevel: "info" },
  validation_failed: { status: 400, title: "The request does not fit its schema", retryable: false, logLevel: "info" },
  bad_request: { status: 400, title: "The request cannot be read", retryable: false, logLevel: "info" },
  unauthorized: { status: 401, title: "An API key is needed", retryable: false, logLevel: "info" },
  forbidden: { status: 403, title: "The API key does not allow this", retryable: false, logLevel: "info" },
  not_found: { status: 404, title: "There is nothing here", retryable: false, logLevel: "info" },
  method_not_allowed: { status: 405, title: "The method is not allowed here", retryable: false, logLevel: "info" },
  request_timeout: { status: 408, title: "The request took too long to arrive", retryable: true, logLevel: "info" },
  payload_too_large: { status: 413, title: "The body is too large", retryable: false, logLevel: "info" },
  unsupported_media_type: { status: 415, title: "The body must be JSON", retryable: false, logLevel: "info" },
  unprocessable: { status: 422, title: "The request cannot be carried out", retryable: false, logLevel: "info" },
  currency_not_sold: {
    status: 422,
    title: "The product is not sold in that currency",
    retryable: false,
    logLevel: "info",
  },
  order_exists: { status: 409, title: "The key has placed an order already", retryable: false, logLevel: "info" },
  order_too_late: { status: 409, title: "The order can no longer be cancelled", retryable: false, logLevel: "info" },
  stock_differs: { status: 409, title: "The stock does not allow this change", retryable: false, logLevel: "info" },
  idempotency_mismatch: {
    status: 422,
    title: "The key was used for another request",
    retryable: false,
    logLevel: "info",
  },
  unknown_product: { status: 422, title: "A product is not known", retryable: false, logLevel: "info" },
  price_differs: { status: 422, title: "The price is another one", retryable: false, logLevel: "info" },
  mixed_currencies: {
    status: 422,
    title: "The items are sold in several currencies",
    retryable: false,
    logLevel: "info",
  },
  decision_unusable: { status: 422, title: "The decision cannot be used", retryable: false, logLevel: "info" },
  rate_limited: { status: 429, title: "Too many requests", retryable: true, logLevel: "info" },
  headers_too_large: { status: 431, title: "The headers are too large", retryable: false, logLevel: "info" },
  // Us, and what we stand on.
  internal: { status: 500, title: "Something went wrong on our side", retryable: true, logLevel: "error" },
  unavailable: { status: 503, title: "A part that is needed is not available", retryable: true, logLevel: "warn" },
  deadline_exceeded: { status: 503, title: "The work took longer than allowed", retryable: true, logLevel: "warn" },
  overloaded: { status: 503, title: "Too much waits already", retryable: true, logLevel: "warn" },
  commit_unknown: { status: 503, title: "The outcome of a write is not known", retryable: true, logLevel: "error" },
  redis_unavailable: { status: 503, title: "The cache is not available", retryable: true, logLevel: "warn" },
  postgres_unavailable: { status: 503, title: "The database is not available", retryable: true, logLevel: "warn" },
  migrations_refused: {
    status: 500,
    title: "The journal of migrations contradicts the database",
    retryable: false,
    logLevel: "fatal",
  },
  migrations_locked: { status: 503, title: "Migrations wait for a lock", retryable: true, logLevel: "error" },
  kafka_unavailable: { status: 503, title: "The message broker is not available", retryable: true, logLevel: "warn" },
  publish_unknown: { status: 503, title: "The outcome of a publish is not known", retryable: true, logLevel: "error" },
  receipt_refused: { status: 422, title: "The store refuses a receipt", retryable: true, logLevel: "error" },
  notification_failed: { status: 503, title: "A notification was not taken", retryable: true, logLevel: "warn" },
  invalid_message: { status: 422, title: "A message does not fit its schema", retryable: false, logLevel: "error" },
} as const satisfies Record<string, ErrorDefinition>;

export type ErrorDefinition = {
  status: number;
  title: string;
  retryable: boolean;
  logLevel: "debug" | "info" | "warn" | "error" | "fatal";
};

export type ErrorCode = keyof typeof errorCatalogue;

/** The stable `type` URI of a code, as it appears in problem+json. */
export function errorType(code: ErrorCode): string {
  return `https://pricing-engine.dev/errors/${code}`;
}
