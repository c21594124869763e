import { errorCatalogue, errorType } from "./catalogue.ts";

/** Renders the reference page of all codes (`docs/reference/errors.md`), deterministically. */
export function renderErrorReference(): string {
  const rows = Object.entries(errorCatalogue)
    .toSorted(([a, x], [b, y]) => x.status - y.status || (a < b ? -1 : 1))
    .map(
      ([code, { status, title, retryable, logLevel }]) =>
        `| \`${code}\` | ${status} | ${title} | ${retryable ? "yes" : "no"} | ${logLevel} |`,
    );
  return [
    "# Error codes",
    "",
    "Generated from the catalogue in `packages/chassis/src/errors/catalogue.ts`; do not edit.",
    "",
    "Every error body is `application/problem+json` (RFC 9457) with `type`, `title`, `status`, `detail`, `code` and",
    `\`traceId\`; \`type\` is \`${errorType("internal").replace("internal", "<code>")}\`. \`validation_failed\` and \`invalid_json\` carry`,
    "`errors`, one `{pointer, code, message}` per offending field. `retryable` says that the same request may succeed",
    "later without being changed.",
    "",
    "| code | status | title | retryable | logged as |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}
