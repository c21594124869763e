import { AppError, toProblem } from "../errors/index.ts";

/** The answer to a fault: problem+json, `Retry-After` for 429 and 503, and the headers that the error asks for. */
export function problemResponse(error: unknown, traceId: string): Response {
  const problem = toProblem(error, traceId);
  const headers = new Headers({ "content-type": "application/problem+json", "cache-control": "no-store" });
  if (error instanceof AppError) {
    for (const [name, value] of Object.entries(error.headers ?? {})) headers.set(name, value);
  }
  const asked = error instanceof AppError ? error.retryAfterSeconds : undefined;
  const retryAfterSeconds = asked ?? (problem.status === 429 || problem.status === 503 ? 1 : undefined);
  if (retryAfterSeconds !== undefined) headers.set("retry-after", String(Math.max(0, Math.ceil(retryAfterSeconds))));
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}
