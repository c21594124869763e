/**
 * What must exist for a resource: the same plan for child processes and for Deployments. Pure; the runtimes turn it into
 * theirs. Values that only a runtime knows (addresses, files) are named, not guessed.
 */
import type { EngineSettings } from "@pricing-engine/contracts";
import { type PricingEngine, pausedAnnotation, pausedScalingAnnotation } from "../api/resource.ts";
import type { NotImplemented } from "../api/status.ts";
import type { FailoverSettings, ProcessorName } from "./failover.ts";
import { findNotImplemented } from "./not-implemented.ts";
import type { OrderStage } from "./order-stages.ts";
import type { PartitionedTable, PartitionSpec } from "./partitions.ts";
import { commonEnv, memoryEnv, prefixOf } from "./plan-env.ts";
import { planIngest } from "./plan-ingest.ts";
import { planOrders, type ReceiptsPart } from "./plan-orders.ts";
import { planFailover, planPayment } from "./plan-payment.ts";
import { planPricing } from "./plan-pricing.ts";
import type { ScalePlan } from "./plan-scale.ts";
import { makeSettings } from "./settings.ts";
import { planTopics, type TopicPlan } from "./topics.ts";

export type Connection = "kafka" | "postgres" | "redis";
export type MountedFile =
  | "settings"
  | "signing-keys"
  | "admin-key"
  | "source-tokens"
  | "processor-default"
  | "processor-fallback";
export type Role =
  | "gateway"
  | "pricing-api"
  | "pricing-worker"
  | "ingest-api"
  | "ingest-worker"
  | "ingest-poller"
  | "payment-api"
  | "payment-worker"
  | "orders-api"
  | `orders-${OrderStage}`
  | "provider"
  | `processor-${ProcessorName}`;
/** `processor` and `provider`: simulated ones, for resources that name none. */
export type ServiceName = "gateway" | "pricing" | "ingest" | "payment" | "orders" | "processor" | "provider";

/** Where the value of a variable comes from. */
export type EnvValue =
  | { readonly from: "value"; readonly value: string }
  | { readonly from: "connection"; readonly connection: Connection }
  /** Of Postgres' streaming replica; the variable is left out where there is none. */
  | { readonly from: "replica" }
  | { readonly from: "file"; readonly file: MountedFile }
  | { readonly from: "secret"; readonly secret: string; readonly key: string }
  /** Of the store that the local runtime has for receipts; the variable is left out where that store has no such part. */
  | { readonly from: "receipts"; readonly part: ReceiptsPart }
  | { readonly from: "workload"; readonly role: Role };

export interface Workload {
  readonly role: Role;
  readonly service: ServiceName;
  /** First argument of the service's entry point. */
  readonly argument: string;
  /** Of one that scales: how many there are at first. From then on the scaling loop says it, and nobody else sets it back. */
  readonly replicas: number;
  /** `public`: all copies share the engine's port. `internal`: reached by other workloads. `none`: only metrics. */
  readonly exposure: "public" | "internal" | "none";
  /** How its number follows the load; undefined: it stays. */
  readonly scale?: ScalePlan;
  readonly env: Readonly<Record<string, EnvValue>>;
  /** Changes when a restart is due. Live settings are not in it, nor how many run. */
  readonly podHash: string;
}

export type PlannedWorkload = Omit<Workload, "podHash">;

export interface PartitionsPlan {
  readonly table: PartitionedTable;
  readonly spec: PartitionSpec;
}

export interface ProcessorPlan {
  readonly name: ProcessorName;
  readonly url: EnvValue;
  readonly token?: EnvValue;
}

export interface FailoverPlan extends FailoverSettings {
  readonly processors: readonly ProcessorPlan[];
  readonly probeIntervalMs: number;
  readonly maxVerdictAgeMs: number;
  readonly paused: boolean;
}

export interface Plan {
  readonly namespace: string;
  readonly name: string;
  /** `<namespace>.<name>.`: before every topic, group and Redis key. */
  readonly prefix: string;
  readonly paused: boolean;
  readonly scalingPaused: boolean;
  readonly connections: readonly Connection[];
  readonly topics: readonly TopicPlan[];
  readonly topicsHash: string;
  readonly migrations: readonly ServiceName[];
  /** Changes with the services and with the image that their migrations come from. */
  readonly migrationsHash: string;
  readonly partitions: readonly PartitionsPlan[];
  readonly workloads: readonly Workload[];
  readonly settings: EngineSettings;
  readonly settingsHash: string;
  /** Which processors are probed, and how; undefined without the payment section. */
  readonly failover: FailoverPlan | undefined;
  readonly notImplemented: readonly NotImplemented[];
}

export interface PlanContext {
  /** Any stable digest: the core has no crypto. */
  hash(text: string): string;
  /** Whether several processes may share a port. Where they may not, one gateway runs. */
  readonly canSharePort: boolean;
  /** Copies of each api that other workloads call; default 1. Where nodes can be lost, one is not enough. */
  readonly internalReplicas?: number;
  /** Whether the end of a resource with `deletionPolicy: Delete` is noticed, and its data deleted. */
  readonly deletesData?: boolean;
  /** Of the simulated provider that runs where a resource names no sources; without it such a resource reads no feed. */
  readonly samplesUrl?: string;
}

export function plan(resource: PricingEngine, context: PlanContext): Plan {
  const { metadata, spec } = resource;
  const prefix = prefixOf(resource);
  const digest = (value: unknown) => context.hash(JSON.stringify(value));
  const topics = planTopics(resource, prefix);
  const settings = makeSettings(resource, context);
  const isPaused = (annotation: string) => metadata.annotations[annotation] === "true";
  const workloads = planWorkloads(resource, context).map((planned) => {
    const workload = { ...planned, env: { ...memoryEnv, ...planned.env } };
    const { replicas: _number, scale: _limits, ...pod } = workload;
    const replicas = workload.exposure === "internal" ? (context.internalReplicas ?? 1) : workload.replicas;
    return { ...workload, replicas, podHash: digest(pod) };
  });
  const migrations = (["pricing", "ingest", "payment", "orders", "gateway"] as const).filter(
    (section) => spec[section] !== undefined,
  );
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    prefix,
    paused: isPaused(pausedAnnotation),
    scalingPaused: isPaused(pausedAnnotation) || isPaused(pausedScalingAnnotation),
    connections: ["kafka", "postgres", "redis"],
    topics,
    topicsHash: digest(topics),
    migrations,
    migrationsHash: digest([migrations, spec.image]),
    partitions: partitionedTables
      .filter(({ section }) => spec[section] !== undefined)
      .map(({ table }) => ({ table, spec: partitionSpec(spec) })),
    workloads,
    settings,
    settingsHash: digest(settings),
    failover: planFailover(resource),
    notImplemented: findNotImplemented(resource, context),
  };
}

const partitionedTables = [
  { section: "pricing", table: { schema: "pricing", name: "price_history", column: "decided_at" } },
  { section: "payment", table: { schema: "payment", name: "payments", column: "created_at" } },
  { section: "orders", table: { schema: "orders", name: "orders", column: "created_at" } },
  { section: "orders", table: { schema: "orders", name: "order_items", column: "created_at" } },
  { section: "orders", table: { schema: "orders", name: "order_transitions", column: "created_at" } },
] as const;

function planWorkloads(resource: PricingEngine, context: PlanContext): readonly PlannedWorkload[] {
  return [
    ...planPricing(resource),
    ...planIngest(resource, context),
    ...planPayment(resource),
    ...planOrders(resource),
    ...planGateway(resource, context),
  ];
}

function planGateway(resource: PricingEngine, { canSharePort }: PlanContext): readonly PlannedWorkload[] {
  const { gateway, ingest, orders, payment, pricing } = resource.spec;
  if (gateway === undefined) return [];
  return [
    {
      role: "gateway",
      service: "gateway",
      argument: "api",
      replicas: canSharePort ? gateway.replicas.min : 1,
      exposure: "public",
      env: {
        ...commonEnv(resource),
        ENGINE_ROLE: { from: "value", value: "api" },
        ADMIN_KEY_FILE: { from: "file", file: "admin-key" },
        ...(pricing === undefined ? {} : { PRICING_URL: { from: "workload", role: "pricing-api" } as const }),
        ...(ingest === undefined ? {} : { INGEST_URL: { from: "workload", role: "ingest-api" } as const }),
        ...(payment === undefined ? {} : { PAYMENT_URL: { from: "workload", role: "payment-api" } as const }),
        ...(orders === undefined ? {} : { ORDERS_URL: { from: "workload", role: "orders-api" } as const }),
      },
    },
  ];
}

function partitionSpec({ partitions }: PricingEngine["spec"]): PartitionSpec {
  const { premakeMonths, retention } = partitions;
  if (retention === undefined) return { premakeMonths };
  const { action, grace, keep } = retention;
  return { premakeMonths, retention: { keepMonths: keep.months, action, graceMs: grace.ms } };
}
