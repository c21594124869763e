import { z } from "zod";
import { duration, httpUrl, secretRef, workers } from "./fields.ts";

const receipts = z
  .strictObject({
    s3: z
      .strictObject({
        endpoint: httpUrl("Address of the S3 service."),
        bucket: z.string().min(3).max(63).describe("Bucket."),
        region: z.string().min(1).max(64).default("us-east-1").describe("Region."),
        secretRef: secretRef("`accessKeyId` and `secretAccessKey`"),
      })
      .optional()
      .describe("S3-compatible storage."),
    directory: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe("A directory, for one machine: in the local runtime alone."),
  })
  .refine((value) => (value.s3 === undefined) !== (value.directory === undefined), {
    error: "give exactly one of s3 and directory",
  })
  .describe("Where receipts are written. May be left out in the local runtime.");

const stage = (what: string) =>
  z
    .strictObject({ workers: workers.prefault({}) })
    .prefault({})
    .describe(what);

export const orders = z
  .strictObject({
    trustClientPrices: z.boolean().default(false).describe("A client's price wins over ours."),
    retries: z.int().min(1).max(20).default(3).describe("Attempts of a stage that fails by its own fault."),
    receipts: receipts.optional(),
    notifications: z
      .strictObject({
        webhook: z
          .strictObject({ url: httpUrl("Called for each order."), secretRef: secretRef("`token`").optional() })
          .describe("HTTP receiver of notifications."),
      })
      .optional()
      .describe("Who hears of an order. Without it notifications are only logged."),
    stateTimeout: duration("An order that stays longer in one state is nudged.", { atLeast: "1s" }).prefault("15m"),
    stages: z
      .strictObject({
        inventory: stage("Reserves stock."),
        payment: stage("Charges."),
        fulfillment: stage("Writes the receipt."),
        notification: stage("Tells the customer."),
      })
      .prefault({})
      .describe("The stages scale and fail alone."),
  })
  .describe("Idempotent intake and the order saga.");
