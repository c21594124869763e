import { z } from "zod";
import { duration, refuseDuplicates, relation, resources, secretRef } from "./fields.ts";

const capacity = z.int().min(1).max(1_000_000).describe("Tokens of a full bucket: the burst.");
const refillPerSecond = z
  .number()
  .positive()
  .max(1_000_000)
  .describe("Tokens that come back each second: the steady rate.");

const rateLimit = z
  .strictObject({
    capacity: capacity.default(100),
    refillPerSecond: refillPerSecond.default(10),
    routes: z
      .array(
        z.string().regex(/^(GET|POST|PUT|DELETE) \/\S*$/, {
          error: 'expected a method and a path, such as "POST /api/v1/price"',
        }),
      )
      .max(100)
      .default([])
      .describe("Calls that take a token beside `POST /orders`, such as `POST /api/v1/price`."),
    tenants: z
      .array(
        z.strictObject({
          name: z.string().min(1).max(255).describe("Tenant."),
          capacity,
          refillPerSecond,
        }),
      )
      .max(1000)
      .default([])
      .superRefine((tenants, context) => refuseDuplicates(tenants, (tenant) => tenant.name, "name", context))
      .describe("Tenants with limits of their own."),
  })
  .describe("Token bucket of each tenant.");

const passThrough = (kind: string) =>
  z.record(z.string(), z.unknown()).describe(`Spec of the ${kind} that exposes the gateway. Kubernetes alone.`);

const replicas = z
  .strictObject({
    min: z.int().min(1).max(200).default(2).describe("Gateways that always run; locally, processes on one port."),
    max: z.int().min(1).max(200).default(6).describe("Most gateways."),
    cpu: z.int().min(1).max(100).default(70).describe("Per cent of the requested CPU that the autoscaler aims at."),
  })
  .refine((value) => value.min <= value.max, relation(["min", "max"], "min", "must not exceed max"))
  .describe("How many gateways run.");

export const gateway = z
  .strictObject({
    replicas: replicas.prefault({}),
    resources: resources.optional(),
    auth: z
      .enum(["none", "apiKey"])
      .default("none")
      .describe("`apiKey` asks every call for `Authorization: Bearer <key>`; `none` trusts the network."),
    adminKeySecretRef: secretRef("`token`: the first admin key")
      .optional()
      .describe("Secret with `token`, the first admin key. Without it the operator makes one."),
    rateLimit: rateLimit.prefault({}),
    backPressure: z
      .strictObject({
        maxLag: z.int().min(1).max(1_000_000_000).default(1000).describe("Orders waiting; beyond it new ones get 503."),
      })
      .prefault({})
      .describe("When new orders are refused."),
    idempotencyTtl: duration("How long an order's idempotency key is remembered.", { atLeast: "1m" }).prefault("168h"),
    allowPurge: z.boolean().default(false).describe("Allows `POST /purge-payments`. For tests alone."),
    httpRoute: passThrough("HTTPRoute").optional(),
    ingress: passThrough("Ingress").optional(),
  })
  .refine(
    (value) => value.httpRoute === undefined || value.ingress === undefined,
    relation(["httpRoute", "ingress"], "ingress", "give httpRoute or ingress, not both"),
  )
  .describe("The only way in: keys, limits, documentation, and prices straight from the cache.");
