import type { Role } from "@pricing-engine/contracts";
import type { z } from "zod";

/** One call of the public API: what the router, the guard and the OpenAPI document must agree on. */
export type Operation = {
  id: string;
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** As in OpenAPI: `/api/v1/products/{product_id}`. */
  path: string;
  tag: string;
  summary: string;
  description?: string;
  /** The least role that may call; undefined: open to everybody. */
  role: Role | undefined;
  /** Takes its token by itself, after it has looked into the body. */
  limitsItself?: true;
  parameters?: z.ZodObject;
  query?: z.ZodType;
  /** Headers that mean something to this call alone. */
  headers?: z.ZodObject;
  body?: { required: boolean; content: Record<string, { schema: z.ZodType; example?: unknown }> };
  answers: Record<number, { description: string; schema?: z.ZodType; type?: string; example?: unknown }>;
  /** Statuses of problems that are this call's own; the common ones are added. */
  problems?: Record<number, string>;
  /** Body of its errors where that is not the usual problem document. */
  failure?: { schema: z.ZodType; example: unknown };
};

/** The path as the router wants it: a colon within a segment is a letter there, not a parameter. */
export function routerPath(path: string): string {
  return path
    .split("/")
    .map((part) => {
      if (part.startsWith("{")) return `:${part.slice(1, -1)}`;
      return part.includes(":") ? `:call{${part}}` : part;
    })
    .join("/");
}
