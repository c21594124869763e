import { errorCatalogue } from "@pricing-engine/chassis/errors";
import { problem } from "@pricing-engine/contracts";
import type { z } from "zod";
import type { Answer } from "./client.ts";

export type Problem = z.infer<typeof problem>;

/** What is wrong with an error answer by the contract; undefined when nothing is. */
export function findContractFault({ status, headers, text, body }: Answer): string | undefined {
  if (headers["content-type"] !== "application/problem+json") return `content-type ${String(headers["content-type"])}`;
  const parsed = problem.safeParse(body);
  if (!parsed.success) return `no problem: ${text.slice(0, 200)}`;
  const { code, status: told, traceId, type } = parsed.data;
  const known = Object.entries(errorCatalogue).find(([name]) => name === code);
  if (known === undefined) return `unknown code ${code}`;
  if (known[1].status !== status || told !== status) return `${code} has status ${known[1].status}, not ${status}`;
  if (!/^[0-9a-f]{32}$/.test(traceId) || /^0+$/.test(traceId)) return `traceId ${traceId}`;
  if (!type.endsWith(`/${code}`)) return `type ${type}`;
  if (!String(headers.traceparent).includes(traceId)) return `traceparent ${String(headers.traceparent)}`;
  if (headers["x-correlation-id"] === undefined) return "no x-correlation-id";
  if ((status === 429 || status === 503) && !/^\d+$/.test(String(headers["retry-after"]))) return "no Retry-After";
  if (/\bat .+:\d+:\d+|node_modules|postgres:\/\//.test(text)) return `internals: ${text.slice(0, 300)}`;
  return undefined;
}
