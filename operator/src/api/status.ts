/** What the operator reports. Conditions follow kstatus, so that `kubectl wait` and Argo understand them. */

export const conditionTypes = [
  "Ready",
  "Reconciling",
  "Stalled",
  "Paused",
  "NotImplemented",
  "SchemaReady",
  "TopicsReady",
  "PartitionsReady",
  "WorkloadsAvailable",
  "SettingsApplied",
  "ProcessorsHealthy",
  "ScalingActive",
  "ResourceValid",
] as const;

export type ConditionType = (typeof conditionTypes)[number];

export interface Condition {
  readonly type: ConditionType;
  readonly status: "True" | "False" | "Unknown";
  /** CamelCase, for programs. */
  readonly reason: string;
  /** For people: what is waited for, or what to do. */
  readonly message: string;
  readonly lastTransitionTime: string;
}

/** One process (locally) or pod of a role. */
export interface ReplicaStatus {
  readonly name: string;
  readonly pid?: number;
  readonly state: "starting" | "ready" | "unready" | "waiting" | "stopping" | "stopped";
  readonly restarts: number;
  /** Why it is not ready, or why it ended the last time. */
  readonly reason?: string;
  /** The last lines it wrote before it ended. */
  readonly lastLog?: readonly string[];
}

export interface WorkerStatus {
  readonly role: string;
  readonly replicas: number;
  readonly ready: number;
  readonly desired: number;
  /** Messages that wait for its group; absent for roles that consume nothing. */
  readonly lag?: number;
  /** Until what waits is worked off at the measured speed; absent while that is unknown, or never. */
  readonly drainSeconds?: number;
  /** Of a role that scales: why it is as many. Of another: why one is not ready. */
  readonly reason?: string;
  readonly processes: readonly ReplicaStatus[];
}

export interface PartitionStatus {
  readonly table: string;
  /** First instant (RFC 3339) that no partition holds. */
  readonly aheadUntil: string;
  readonly months: number;
}

export interface SourceFeedStatus {
  readonly name: string;
  /** When a document was last read whole, RFC 3339. */
  readonly lastSuccess: string | null;
  readonly state: string;
}

export interface ProcessorStatus {
  readonly name: string;
  readonly state: "Healthy" | "Degraded" | "Down" | "Unknown";
  /** What the processor says of its own least response time, such as `5ms`. */
  readonly latency: string;
  /** When the state began (RFC 3339). */
  readonly since: string;
}

/** Where payments go by the processors' states. Workers also go by what they see themselves, and by what waits. */
export type Route = "default" | "fallback" | "hold";

export interface NotImplemented {
  readonly path: string;
  readonly message: string;
}

/** The sums that `kubectl get pe` shows: a printer column can show one value, not add up a list. */
export interface StatusSummary {
  /** `4/5`: copies ready of copies wanted. */
  readonly workers: string;
  /** Messages that wait for all groups; absent when none is known. */
  readonly lag?: number;
  /** Last month (`2027-03`) that every partitioned table has. */
  readonly partitionsUntil?: string;
}

export interface EngineStatus {
  readonly observedGeneration: number;
  readonly conditions: readonly Condition[];
  readonly workers: readonly WorkerStatus[];
  readonly partitions: readonly PartitionStatus[];
  readonly sources: readonly SourceFeedStatus[];
  /** With the payment section. */
  readonly processors?: readonly ProcessorStatus[];
  readonly route?: Route;
  /** Payments that a person must look at, 1,000 standing for more; with the payment section, once they were counted. */
  readonly manualReview?: number;
  readonly notImplemented: readonly NotImplemented[];
  readonly summary?: StatusSummary;
}
