import { z } from "zod";
import { dnsLabel, duration, httpUrl, months, ratio, relation, secretRef } from "./fields.ts";

export const image = z
  .strictObject({
    registry: z
      .string()
      .min(1)
      .max(255)
      .optional()
      .describe("Where the images are pulled from. Default: the operator's own registry."),
    tag: z.string().min(1).max(128).optional().describe("Tag of every image. Default: the operator's own version."),
    pullPolicy: z.enum(["Always", "IfNotPresent", "Never"]).default("IfNotPresent").describe("When to pull an image."),
    pullSecrets: z
      .array(z.strictObject({ name: dnsLabel("Name of the Secret.", 253) }))
      .max(20)
      .default([])
      .describe("Secrets to pull with."),
  })
  .describe("Images of the workloads. The local runtime runs from source and ignores it.");

const broker = z
  .string()
  .max(260)
  .regex(/^[^\s:,/]+:\d{1,5}$/, { error: 'expected "host:port"' })
  .describe("host:port");

export const kafka = z
  .strictObject({
    brokers: z.array(broker).min(1).max(50).describe("Bootstrap servers."),
    tls: z.boolean().default(false).describe("Connect with TLS."),
    caSecretRef: secretRef(
      "`ca.crt`, the certificates (PEM) that brokers are to be signed by. Without it: the authorities that Node trusts",
    ).optional(),
    sasl: z
      .strictObject({
        mechanism: z.enum(["plain", "scram-sha-256", "scram-sha-512"]).describe("SASL mechanism."),
        secretRef: secretRef("`username` and `password`"),
      })
      .optional()
      .describe("Authentication at the brokers."),
    topics: z
      .strictObject({
        partitions: z.int().min(1).max(1000).default(12).describe("Partitions of each topic: the cap of its workers."),
        replicationFactor: z
          .int()
          .min(1)
          .max(9)
          .default(1)
          .describe("Copies; from 3 on, two must be in sync to write."),
      })
      .prefault({})
      .describe("Topics are made by the operator, prefixed `<namespace>.<name>.`."),
  })
  .refine(
    (value) => value.caSecretRef === undefined || value.tls,
    relation(["tls", "caSecretRef"], "caSecretRef", "needs tls: true"),
  )
  .describe("Kafka carries every command and event. May be left out in the local runtime.");

export const postgres = z
  .strictObject({
    primary: z.strictObject({ secretRef: secretRef("`url`") }).describe("The database that is written to."),
    replica: z
      .strictObject({ secretRef: secretRef("`url`") })
      .optional()
      .describe("A streaming replica that searches are read from."),
    poolSize: z.int().min(1).max(200).default(10).describe("Connections of one process."),
  })
  .describe("Postgres is the truth. May be left out in the local runtime.");

export const redis = z
  .strictObject({ secretRef: secretRef("`url`") })
  .describe("Redis holds caches, buckets and live settings. May be left out in the local runtime.");

const retention = z.strictObject({
  keep: months("Whole months kept.").prefault("24mo"),
  action: z
    .enum(["detach", "drop"])
    .default("detach")
    .describe("Detach keeps the table aside; drop removes it after the grace time."),
  grace: duration("Time between detaching and dropping.").prefault("24h"),
});

export const partitions = z
  .strictObject({
    premakeMonths: z.int().min(1).max(24).default(3).describe("Monthly partitions that exist ahead of time."),
    retention: retention.optional().describe("What happens to old months. Without it everything is kept."),
  })
  .describe("Monthly partitions of the tables that grow with time.");

export const telemetry = z
  .strictObject({
    otlpEndpoint: httpUrl(
      "OTLP/HTTP collector for traces, such as http://localhost:4318. Without it nothing is exported.",
    ).optional(),
    sampleRatio: ratio("Share of new traces that are recorded.").default("0.1"),
    logLevel: z
      .enum(["trace", "debug", "info", "warn", "error"])
      .default("info")
      .describe("Level of every process; a live setting."),
  })
  .describe("Traces and logs.");
