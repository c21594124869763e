import type { EngineSettings } from "@pricing-engine/contracts";
import type { PartitionStatus, ReplicaStatus, SourceFeedStatus } from "../api/status.ts";
import type { ProbeResult } from "../core/failover.ts";
import type { PartitionsPlan, ProcessorPlan, Role, ServiceName, Workload } from "../core/plan.ts";
import type { GroupLook } from "../core/scale.ts";
import type { GroupPlan, TopicPlan } from "../core/topics.ts";

export interface ReplicaOfRole extends ReplicaStatus {
  readonly role: string;
}

/** `refused`: somebody else scales it, such as an HPA, and two would pull it to and fro. */
export type ScaleOutcome = { readonly kind: "scaled" } | { readonly kind: "refused"; readonly reason: string };

/** Not a fault: what was asked for goes on by itself, and the step is tried again. */
export class StillWaiting extends Error {
  override readonly name = "StillWaiting";
  /** CamelCase, for the condition. */
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Tells whether settings changed. */
export interface SettingsHash {
  /** Of what the resource says: processes that start have to know it. */
  readonly lasting: string;
  /** With what the prober found: advice of a few seconds, for processes that run. */
  readonly whole: string;
  /** Of when it was found, and of its figures. A change of it alone says the same once more. */
  readonly advice: string;
}

/** What the reconciler needs of the place that an engine runs in. Every call is idempotent and may be repeated. */
export interface Runtime {
  ensureTopics(topics: readonly TopicPlan[]): Promise<void>;
  /** Deletes what every group has done with: commands have no retention in time. */
  pruneTopics(topics: readonly TopicPlan[]): Promise<void>;
  /** Makes the database this engine's, unless it is another one's: then that one's name is returned. */
  claimDatabase(): Promise<string | undefined>;
  migrate(service: ServiceName): Promise<void>;
  ensurePartitions(plans: readonly PartitionsPlan[]): Promise<readonly PartitionStatus[]>;
  /** Hands live settings to new processes and running ones. */
  applySettings(settings: EngineSettings, hash: SettingsHash): Promise<void>;
  /** The number of a workload with `scale` is its own once it is there: `replicas` is for the first time alone. */
  applyWorkloads(workloads: readonly Workload[]): Promise<void>;
  replicas(): readonly ReplicaOfRole[];
  /** How the feeds are doing, as ingest's api says. */
  readSources(): Promise<readonly SourceFeedStatus[]>;
  /**
   * The consumer group as it is now: ends, commits clamped to what the log holds, who reads what. In the order in which the assigner
   * deals partitions. Rejects when any of it cannot be asked.
   */
  lookAtGroup(group: GroupPlan): Promise<GroupLook>;
  /** What the role has to do beside its group's messages: only asked about one that may sleep. Rejects when it cannot be counted. */
  countWaiting(role: Role, settings: EngineSettings): Promise<number>;
  /** Payments that a person must look at, at most 1,000. Rejects when they cannot be counted. */
  countForReview(): Promise<number>;
  /** How many copies of the role are wanted at present, whoever said so; undefined while there is no such workload. */
  currentReplicas(role: Role): Promise<number | undefined>;
  /** Wants so many copies of a workload that was applied. */
  scale(role: Role, replicas: number): Promise<ScaleOutcome>;
  /** Why `scale` would refuse. Asks nobody. */
  findOtherScaler?(role: Role): string | undefined;
  /** Asks a payment processor how it is. Never rejects. */
  probeProcessor(processor: ProcessorPlan, signal: AbortSignal): Promise<ProbeResult>;
  /** Resolves at the next change of a replica, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void>;
}
