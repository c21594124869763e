import type { EngineSettings } from "@pricing-engine/contracts";
import type { PartitionStatus, ReplicaStatus, SourceFeedStatus } from "../api/status.ts";
import type { ProbeResult } from "../core/failover.ts";
import type { PartitionsPlan, ProcessorPlan, ServiceName, Workload } from "../core/plan.ts";
import type { TopicPlan } from "../core/topics.ts";

export interface ReplicaOfRole extends ReplicaStatus {
  readonly role: string;
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
  /** Hands live settings to new processes and running ones. `hash` tells whether they changed. */
  applySettings(settings: EngineSettings, hash: string): Promise<void>;
  applyWorkloads(workloads: readonly Workload[]): Promise<void>;
  replicas(): readonly ReplicaOfRole[];
  /** How the feeds are doing, as ingest's api says. */
  readSources(): Promise<readonly SourceFeedStatus[]>;
  /** Messages that wait for the group. */
  measureLag(group: string, topics: readonly string[]): Promise<number>;
  /** Asks a payment processor how it is. Never rejects. */
  probeProcessor(processor: ProcessorPlan, signal: AbortSignal): Promise<ProbeResult>;
  /** Resolves at the next change of a replica, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void>;
}
