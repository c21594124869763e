import { errorCatalogue } from "@pricing-engine/chassis/errors";
import { healthResponse, problem } from "@pricing-engine/contracts";
import { z } from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from "zod-openapi";
import type { Operation } from "../http/operation.ts";
import { ingestOperations, keyOperations, paymentOperations, pricingOperations } from "../http/operations.ts";
import { orderOperations } from "../http/order-operations.ts";

const commonProblems: Record<number, string> = {
  400: "The body, query or path does not fit; `errors` names each field",
  401: "No key, or a wrong one",
  403: "The key's role does not allow this",
  413: "The body is above 1 MiB",
  415: "The body is of a type that is not taken here",
  429: "No token left in the tenant's bucket",
  503: "A part that is needed is not available, or took too long",
};

/** OpenAPI 3.1 of the public API, from the same tables and schemas that the router and the services use. */
export function makeOpenApiDocument(): string {
  const paths: ZodOpenApiPathsObject = {};
  const tables = [pricingOperations, ingestOperations, orderOperations, paymentOperations, keyOperations];
  const operations: readonly Operation[] = tables.flatMap((table): Operation[] => Object.values(table));
  for (const operation of operations) {
    const path = paths[operation.path] ?? {};
    paths[operation.path] = { ...path, [operation.method.toLowerCase()]: renderOperation(operation) };
  }
  for (const path of ["/health", "/livez", "/readyz"]) paths[path] = { get: renderProbe(path) };
  const document = createDocument({
    openapi: "3.1.0",
    info: {
      title: "PricingEngine",
      version: "0.1.0",
      description: `Money is a decimal string, times are RFC 3339 in UTC. Errors are RFC 9457 problem details with a stable \`code\`: ${Object.keys(
        errorCatalogue,
      )
        .map((code) => `\`${code}\``)
        .join(", ")}. Every answer carries \`traceparent\` and \`x-correlation-id\`.`,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    tags: ["Prices", "Market", "Products", "Catalogue", "Orders", "Payments", "Keys", "Health"].map((name) => ({
      name,
    })),
    paths,
    components: {
      schemas: { Problem: problem },
      securitySchemes: {
        key: { type: "http", scheme: "bearer", description: "Needed when the engine runs with keys." },
      },
    },
  });
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function renderOperation(operation: Operation): ZodOpenApiOperationObject {
  const { id, tag, summary, description, role, body, answers, problems = {}, failure } = operation;
  const { parameters, query, headers } = operation;
  const statuses = [
    400,
    ...(role === undefined ? [] : [401, 403]),
    ...(body === undefined ? [] : [413, 415]),
    429,
    503,
  ];
  const described: Record<string, string> = {
    ...Object.fromEntries(statuses.map((status) => [status, commonProblems[status] ?? ""])),
    ...problems,
  };
  const responses: ZodOpenApiOperationObject["responses"] = {};
  for (const [status, answer] of Object.entries(answers)) {
    const { schema, type = "application/json" } = answer;
    responses[status as `${1 | 2 | 3 | 4 | 5}${string}`] = {
      description: answer.description,
      ...(schema === undefined ? {} : { content: { [type]: { schema } } }),
    };
  }
  if (operation.method === "GET") responses["304"] = { description: "As `If-None-Match` has it" };
  for (const [status, text] of Object.entries(described)) {
    responses[status as `${1 | 2 | 3 | 4 | 5}${string}`] = {
      description: text,
      content:
        failure === undefined
          ? { "application/problem+json": { schema: problem, example: problemExample(Number(status)) } }
          : { "application/json": failure },
    };
  }
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...(role === undefined ? { security: [] } : { security: [{ key: [] }, {}], "x-role": role }),
    requestParams: {
      ...(parameters === undefined ? {} : { path: parameters }),
      ...(query === undefined ? {} : { query: objectOf(query) }),
      ...(headers === undefined ? {} : { header: headers }),
    },
    ...(body === undefined ? {} : { requestBody: body }),
    responses,
  };
}

function renderProbe(path: string): ZodOpenApiOperationObject {
  return {
    operationId: path.slice(1),
    tags: ["Health"],
    summary: path === "/livez" ? "Whether the process works" : "Whether the process is ready",
    security: [],
    responses: {
      "200": { description: "Yes", content: { "application/json": { schema: healthResponse } } },
      "503": {
        description: "No; names the part",
        content: {
          "application/json": {
            schema: z.object({ status: z.literal("unhealthy"), failing: z.record(z.string(), z.string()) }),
            example: { status: "unhealthy", failing: { settings: "not loaded yet" } },
          },
        },
      },
    },
  };
}

/** The first code of the catalogue with that status, as a client would see it. */
function problemExample(status: number): unknown {
  const found = Object.entries(errorCatalogue).find(([, entry]) => entry.status === status);
  const [code, { title }] = found ?? ["internal", errorCatalogue.internal];
  const example = { type: `https://pricing-engine.dev/errors/${code}`, title, status, detail: title, code };
  return { ...example, traceId: "4bf92f3577b34da6a3ce929d0e0e4736" };
}

function objectOf(query: z.ZodType): z.ZodObject {
  if (query instanceof z.ZodObject) return query;
  throw new TypeError("the query of an operation must be an object");
}
