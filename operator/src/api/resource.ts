/**
 * The `PricingEngine` resource, whole: this schema makes the TypeScript types and the reference page. Sections that no
 * part runs yet are accepted and checked like the rest, so that a resource written today stays valid; what does not
 * run is said in `status` (core/not-implemented.ts).
 */
import { z } from "zod";
import { image, kafka, partitions, postgres, redis, telemetry } from "./connections.ts";
import { dnsLabel, relation } from "./fields.ts";
import { gateway } from "./gateway.ts";
import { ingest } from "./ingest.ts";
import { orders } from "./orders.ts";
import { payment } from "./payment.ts";
import { pricing } from "./pricing.ts";

export const apiVersion = "pricing-engine.dev/v1alpha1";
export const kind = "PricingEngine";

/** `"true"` stops everything but status. */
export const pausedAnnotation = "pricing-engine.dev/paused";
/** `"true"` stops scaling: the numbers stay, and may be changed by hand. */
export const pausedScalingAnnotation = "pricing-engine.dev/paused-scaling";
/** `"true"` stops the probing of payment processors: verdicts expire, and workers go by what they see themselves. */
export const pausedFailoverAnnotation = "pricing-engine.dev/paused-failover";

const specSchema = z
  .strictObject({
    deletionPolicy: z
      .enum(["Retain", "Delete"])
      .default("Retain")
      .describe("Delete removes topics and data with the resource; Retain leaves them."),
    image: image.prefault({}),
    kafka: kafka.optional(),
    postgres: postgres.optional(),
    redis: redis.optional(),
    gateway: gateway.optional(),
    pricing: pricing.optional(),
    ingest: ingest.optional(),
    payment: payment.optional(),
    orders: orders.optional(),
    partitions: partitions.prefault({}),
    telemetry: telemetry.prefault({}),
  })
  .refine(
    (spec) => spec.orders === undefined || spec.pricing !== undefined,
    relation(["orders", "pricing"], "orders", "needs the pricing section"),
  )
  .refine(
    (spec) => spec.orders === undefined || spec.payment !== undefined,
    relation(["orders", "payment"], "orders", "needs the payment section"),
  )
  .refine(
    (spec) => spec.pricing !== undefined || spec.ingest?.sources?.some((source) => source.products) !== true,
    relation(["ingest", "pricing"], "ingest", "a source with products: true needs the pricing section"),
  )
  .describe("What runs. A section left out is not run.");

const metadataSchema = z
  .strictObject({
    // Deployments are `<name>-<role>` and Secrets `<name>-signing`: 63 characters with room for the role.
    name: dnsLabel("Name of the engine; with the namespace, the prefix of its topics, groups and keys.", 40),
    namespace: dnsLabel("Namespace.").default("default"),
    labels: z.record(z.string(), z.string()).default({}).describe("Labels."),
    annotations: z
      .record(z.string(), z.string())
      .default({})
      .describe(
        `Annotations; \`${pausedAnnotation}: "true"\` stops everything but status, \`${pausedScalingAnnotation}\` the scaling of workers, \`${pausedFailoverAnnotation}\` the probing of processors.`,
      ),
  })
  .describe("Identity of the engine.");

export const resourceSchema = z.strictObject({
  apiVersion: z.literal(apiVersion).describe("Version of this schema."),
  kind: z.literal(kind).describe("Kind."),
  metadata: metadataSchema,
  spec: specSchema,
});

/** A resource as it is used: defaults filled in, durations parsed. */
export type PricingEngine = z.output<typeof resourceSchema>;
