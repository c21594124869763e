/** The orders section: an api, and a workload for each stage, so that the stages scale and fail alone. */
import type { PricingEngine } from "../api/resource.ts";
import { type OrderStage, orderStages } from "./order-stages.ts";
import type { EnvValue, PlannedWorkload } from "./plan.ts";
import { commonEnv } from "./plan-env.ts";
import { planScale } from "./plan-scale.ts";

/** Parts of where receipts are stored, when the resource leaves that to the local runtime. */
export type ReceiptsPart = "endpoint" | "bucket" | "region" | "accessKeyId" | "secretAccessKey" | "directory";

export function planOrders(resource: PricingEngine): readonly PlannedWorkload[] {
  const { orders } = resource.spec;
  if (orders === undefined) return [];
  const receipts = receiptsEnv(orders.receipts);
  const ofRole: Readonly<Record<"api" | OrderStage, Readonly<Record<string, EnvValue>>>> = {
    // The api reads what the fulfilment writes.
    api: { PRICING_URL: { from: "workload", role: "pricing-api" }, ...receipts },
    inventory: {},
    payment: {},
    fulfillment: receipts,
    notification: notificationEnv(orders.notifications),
  };
  const env = (role: "api" | OrderStage) => ({
    ...commonEnv(resource),
    ENGINE_ROLE: { from: "value", value: role } as const,
    ...ofRole[role],
  });
  return [
    {
      role: "orders-api",
      service: "orders",
      argument: "api",
      replicas: 1,
      exposure: "internal",
      env: env("api"),
    },
    ...orderStages.map((stage) => ({
      role: `orders-${stage}` as const,
      service: "orders" as const,
      argument: stage,
      replicas: orders.stages[stage].workers.min,
      exposure: "none" as const,
      // The payment stage hands charges to Kafka and waits for none: held payments are nothing to it.
      scale: planScale(resource, `orders-${stage}`, orders.stages[stage].workers),
      env: env(stage),
    })),
  ];
}

type OrdersSpec = NonNullable<PricingEngine["spec"]["orders"]>;

function receiptsEnv(receipts: OrdersSpec["receipts"]): Record<string, EnvValue> {
  if (receipts?.directory !== undefined) return { RECEIPTS_DIRECTORY: { from: "value", value: receipts.directory } };
  if (receipts?.s3 === undefined) {
    const left = (part: ReceiptsPart): EnvValue => ({ from: "receipts", part });
    return {
      RECEIPTS_S3_ENDPOINT: left("endpoint"),
      RECEIPTS_S3_BUCKET: left("bucket"),
      RECEIPTS_S3_REGION: left("region"),
      RECEIPTS_S3_ACCESS_KEY_ID: left("accessKeyId"),
      RECEIPTS_S3_SECRET_ACCESS_KEY: left("secretAccessKey"),
      RECEIPTS_DIRECTORY: left("directory"),
    };
  }
  const { bucket, endpoint, region, secretRef } = receipts.s3;
  const secret = (key: string): EnvValue => ({ from: "secret", secret: secretRef.name, key });
  return {
    RECEIPTS_S3_ENDPOINT: { from: "value", value: endpoint },
    RECEIPTS_S3_BUCKET: { from: "value", value: bucket },
    RECEIPTS_S3_REGION: { from: "value", value: region },
    RECEIPTS_S3_ACCESS_KEY_ID: secret("accessKeyId"),
    RECEIPTS_S3_SECRET_ACCESS_KEY: secret("secretAccessKey"),
  };
}

function notificationEnv(notifications: OrdersSpec["notifications"]): Record<string, EnvValue> {
  if (notifications === undefined) return {};
  const { url, secretRef } = notifications.webhook;
  return {
    NOTIFICATION_WEBHOOK_URL: { from: "value", value: url },
    ...(secretRef === undefined
      ? {}
      : { NOTIFICATION_WEBHOOK_TOKEN: { from: "secret", secret: secretRef.name, key: "token" } }),
  };
}
