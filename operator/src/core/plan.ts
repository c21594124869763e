/**
 * What must exist for a resource: the same plan for child processes and for Deployments. Pure; the runtimes turn it into
 * theirs. Values that only a runtime knows (addresses, files) are named, not guessed.
 */
import type { EngineSettings } from "@pricing-engine/contracts";
import { type PricingEngine, pausedAnnotation, pausedFailoverAnnotation } from "../api/resource.ts";
import type { NotImplemented } from "../api/status.ts";
import type { FailoverSettings, ProcessorName } from "./failover.ts";
import { findNotImplemented } from "./not-implemented.ts";
import type { PartitionedTable, PartitionSpec } from "./partitions.ts";
import { type OrderStage, planOrders, type ReceiptsPart } from "./plan-orders.ts";
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
  readonly replicas: number;
  /** `public`: all copies share the engine's port. `internal`: reached by other workloads. `none`: only metrics. */
  readonly exposure: "public" | "internal" | "none";
  /** Consumer group, without the prefix; its lag is shown. */
  readonly group?: string;
  readonly env: Readonly<Record<string, EnvValue>>;
  /** Changes when a restart is due. Live settings are not in it. */
  readonly podHash: string;
}

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
  readonly paused: boolean;
}

export interface Plan {
  readonly namespace: string;
  readonly name: string;
  /** `<namespace>.<name>.`: before every topic, group and Redis key. */
  readonly prefix: string;
  readonly paused: boolean;
  readonly connections: readonly Connection[];
  readonly topics: readonly TopicPlan[];
  readonly topicsHash: string;
  readonly migrations: readonly ServiceName[];
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
  /** Of the simulated provider that runs where a resource names no sources; without it such a resource reads no feed. */
  readonly samplesUrl?: string;
}

export function plan(resource: PricingEngine, context: PlanContext): Plan {
  const { metadata, spec } = resource;
  const prefix = `${metadata.namespace}.${metadata.name}.`;
  const digest = (value: unknown) => context.hash(JSON.stringify(value));
  const topics = planTopics(resource, prefix);
  const settings = makeSettings(resource, context);
  const workloads = planWorkloads(resource, context).map((workload) => ({ ...workload, podHash: digest(workload) }));
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    prefix,
    paused: metadata.annotations[pausedAnnotation] === "true",
    connections: ["kafka", "postgres", "redis"],
    topics,
    topicsHash: digest(topics),
    migrations: (["pricing", "ingest", "payment", "orders", "gateway"] as const).filter(
      (section) => spec[section] !== undefined,
    ),
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

const processorNames: readonly ProcessorName[] = ["default", "fallback"];
/** Of simulated processors, for `npm start` and the shares in docs/guide/payments.md. */
const simulatedFees = { default: "0.05", fallback: "0.15" };
const simulatedToken = "123";

function planProcessors({ spec }: PricingEngine): readonly ProcessorPlan[] {
  const named = spec.payment?.processors;
  if (named === undefined) {
    return processorNames.map((name) => {
      return { name, url: { from: "workload", role: `processor-${name}` }, token: value(simulatedToken) };
    });
  }
  return named.map(({ name, url, secretRef }) => ({
    name,
    url: value(url),
    ...(secretRef === undefined ? {} : { token: { from: "secret", secret: secretRef.name, key: "token" } as const }),
  }));
}

function planFailover(resource: PricingEngine): FailoverPlan | undefined {
  const { metadata, spec } = resource;
  if (spec.payment === undefined) return undefined;
  const { failureThreshold, probeInterval, recoveryThreshold } = spec.payment.failover;
  return {
    processors: planProcessors(resource),
    probeIntervalMs: probeInterval.ms,
    failureThreshold,
    recoveryThreshold,
    paused: [pausedAnnotation, pausedFailoverAnnotation].some((name) => metadata.annotations[name] === "true"),
  };
}

type UnhashedWorkload = Omit<Workload, "podHash">;

function planWorkloads(resource: PricingEngine, context: PlanContext): readonly UnhashedWorkload[] {
  const { spec } = resource;
  const workloads: UnhashedWorkload[] = [];
  if (spec.pricing !== undefined) {
    const env = commonEnv(resource);
    workloads.push(
      {
        role: "pricing-api",
        service: "pricing",
        argument: "api",
        replicas: 1,
        exposure: "internal",
        env: { ...env, ENGINE_ROLE: value("api") },
      },
      {
        role: "pricing-worker",
        service: "pricing",
        argument: "worker",
        replicas: Math.max(1, spec.pricing.workers.min),
        exposure: "none",
        group: "pricing-worker",
        env: { ...env, ENGINE_ROLE: value("worker") },
      },
    );
  }
  workloads.push(...planIngest(resource, context));
  workloads.push(...planPayment(resource));
  workloads.push(...planOrders(resource, commonEnv(resource)));
  if (spec.gateway !== undefined) {
    workloads.push({
      role: "gateway",
      service: "gateway",
      argument: "api",
      replicas: context.canSharePort ? spec.gateway.replicas.min : 1,
      exposure: "public",
      env: {
        ...commonEnv(resource),
        ENGINE_ROLE: value("api"),
        ADMIN_KEY_FILE: { from: "file", file: "admin-key" },
        ...(spec.pricing === undefined ? {} : { PRICING_URL: { from: "workload", role: "pricing-api" } as const }),
        ...(spec.ingest === undefined ? {} : { INGEST_URL: { from: "workload", role: "ingest-api" } as const }),
        ...(spec.payment === undefined ? {} : { PAYMENT_URL: { from: "workload", role: "payment-api" } as const }),
        ...(spec.orders === undefined ? {} : { ORDERS_URL: { from: "workload", role: "orders-api" } as const }),
      },
    });
  }
  return workloads;
}

function planIngest(resource: PricingEngine, { samplesUrl }: PlanContext): readonly UnhashedWorkload[] {
  const { ingest, pricing, postgres } = resource.spec;
  if (ingest === undefined) return [];
  const workload = (argument: "api" | "worker" | "poller", replicas: number, more: Partial<UnhashedWorkload>) => ({
    role: `ingest-${argument}` as const,
    service: "ingest" as const,
    argument,
    replicas,
    exposure: "none" as const,
    ...more,
    env: { ...commonEnv(resource), ENGINE_ROLE: value(argument), ...more.env },
  });
  // A resource that names its own primary has the replica that it names, or none.
  const hasReplica = postgres === undefined || postgres.replica !== undefined;
  const isSimulated = ingest.sources === undefined && samplesUrl !== undefined;
  const provider: UnhashedWorkload = {
    role: "provider",
    service: "provider",
    argument: "samples",
    replicas: 1,
    exposure: "internal",
    env: {},
  };
  return [
    ...(isSimulated ? [provider] : []),
    workload("api", 1, {
      exposure: "internal",
      ...(hasReplica ? { env: { POSTGRES_REPLICA_URL: { from: "replica" } } } : {}),
    }),
    workload("worker", Math.max(1, ingest.workers.min), {
      group: "ingest-worker",
      ...(pricing === undefined ? {} : { env: { PRICING_URL: { from: "workload", role: "pricing-api" } } }),
    }),
    workload("poller", 1, { env: { SOURCE_TOKENS_FILE: { from: "file", file: "source-tokens" } } }),
  ];
}

function planPayment(resource: PricingEngine): readonly UnhashedWorkload[] {
  const { spec } = resource;
  if (spec.payment === undefined) return [];
  const env = commonEnv(resource);
  const processors = planProcessors(resource);
  const simulated = spec.payment.processors === undefined ? processorNames : [];
  return [
    ...simulated.map((name): UnhashedWorkload => {
      return {
        role: `processor-${name}`,
        service: "processor",
        argument: name,
        replicas: 1,
        exposure: "internal",
        env: {
          PROCESSOR_FEE: value(simulatedFees[name]),
          PROCESSOR_TOKEN: value(simulatedToken),
          PROCESSOR_LEDGER: { from: "file", file: `processor-${name}` },
        },
      };
    }),
    {
      role: "payment-api",
      service: "payment",
      argument: "api",
      replicas: 1,
      exposure: "internal",
      env: { ...env, ENGINE_ROLE: value("api") },
    },
    {
      role: "payment-worker",
      service: "payment",
      argument: "worker",
      replicas: Math.max(1, spec.payment.workers.min),
      exposure: "none",
      group: "payment-worker",
      env: {
        ...env,
        ENGINE_ROLE: value("worker"),
        ...Object.fromEntries(
          processors.flatMap(({ name, url, token }): [string, EnvValue][] => [
            [`PAYMENT_${name.toUpperCase()}_URL`, url],
            ...(token === undefined ? [] : [[`PAYMENT_${name.toUpperCase()}_TOKEN`, token] as [string, EnvValue]]),
          ]),
        ),
      },
    },
  ];
}

function commonEnv({ metadata, spec }: PricingEngine): Record<string, EnvValue> {
  const { otlpEndpoint, sampleRatio } = spec.telemetry;
  return {
    ENGINE_NAMESPACE: value(metadata.namespace),
    ENGINE_NAME: value(metadata.name),
    KAFKA_BROKERS: { from: "connection", connection: "kafka" },
    POSTGRES_URL: { from: "connection", connection: "postgres" },
    POSTGRES_POOL_SIZE: value(String(spec.postgres?.poolSize ?? 10)),
    REDIS_URL: { from: "connection", connection: "redis" },
    SETTINGS_FILE: { from: "file", file: "settings" },
    SIGNING_KEYS_FILE: { from: "file", file: "signing-keys" },
    TRACE_SAMPLE_RATIO: value(sampleRatio),
    ...(otlpEndpoint === undefined ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: value(otlpEndpoint) }),
  };
}

function partitionSpec({ partitions }: PricingEngine["spec"]): PartitionSpec {
  const { premakeMonths, retention } = partitions;
  if (retention === undefined) return { premakeMonths };
  const { action, grace, keep } = retention;
  return { premakeMonths, retention: { keepMonths: keep.months, action, graceMs: grace.ms } };
}

function value(text: string): EnvValue {
  return { from: "value", value: text };
}
