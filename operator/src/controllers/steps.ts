/** The steps of a pass that are done once, and again when what they are about has changed. */
import type { Logger } from "@pricing-engine/chassis/log";
import { withSpan } from "@pricing-engine/chassis/telemetry";
import type { PartitionStatus } from "../api/status.ts";
import type { StepState } from "../core/conditions.ts";
import type { Plan } from "../core/plan.ts";
import { deniedReason } from "../kube/kube-error.ts";
import { type Runtime, StillWaiting } from "../runtime/runtime.ts";

export type Step = "topics" | "schema" | "partitions" | "settings";

export interface Steps {
  state(step: Step): StepState;
  /** Runs one, and notes how it went. Resolves with whether it is done; never rejects. */
  attempt(step: Step, message: string, run: () => Promise<void>): Promise<boolean>;
  ensureTopics(plan: Plan): Promise<boolean>;
  /** Tables, then their partitions. */
  ensureSchema(plan: Plan): Promise<boolean>;
  /** Whether topics and tables are those that processes of the plan need. */
  isPrepared(plan: Plan): boolean;
  partitions(): readonly PartitionStatus[];
  /** The engine whose database this is, when it is another one's. */
  databaseOf(): string | undefined;
}

export interface StepsDeps {
  readonly runtime: Pick<Runtime, "ensureTopics" | "claimDatabase" | "migrate" | "ensurePartitions">;
  readonly logger: Pick<Logger, "warn">;
  nowMs(): number;
  /** After each change of a state. */
  onChange(): void;
}

const partitionsEveryMs = 3_600_000;
const waiting = (message: string): StepState => ({ state: "waiting", reason: "Pending", message });

export function makeSteps({ runtime, logger, nowMs, onChange }: StepsDeps): Steps {
  const states: Record<Step, StepState> = {
    topics: waiting("topics are not made yet"),
    schema: waiting("tables are not made yet"),
    partitions: waiting("partitions are not made yet"),
    settings: waiting("live settings are not written yet"),
  };
  const done = { topics: "", migrations: "", partitions: "", partitionsAtMs: Number.NEGATIVE_INFINITY };
  let owned = false;
  let databaseOf: string | undefined;
  let partitions: readonly PartitionStatus[] = [];

  async function attempt(step: Step, message: string, run: () => Promise<void>): Promise<boolean> {
    const before = states[step];
    try {
      const waits = await withSpan(`step ${step}`, {}, () => run().catch(orStillWaiting));
      if (waits instanceof StillWaiting) throw waits;
      states[step] = { state: "done", message };
      onChange();
      return true;
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      if (error instanceof StillWaiting) {
        states[step] = { state: "waiting", reason: error.reason, message: cause };
        onChange();
        return false;
      }
      if (before.state !== "failed" || before.message !== cause) logger.warn({ step, err: error }, "a step failed");
      states[step] = { state: "failed", message: cause, reason: deniedReason(error) };
      onChange();
      return false;
    }
  }

  /** Tables of two engines in one database would mix. */
  async function ensureOwned(): Promise<boolean> {
    if (owned) return true;
    return await attempt("schema", "the database is this engine's", async () => {
      databaseOf = await runtime.claimDatabase();
      if (databaseOf !== undefined) {
        throw new Error(`the database is ${databaseOf}'s, and one database serves one engine: give this one its own`);
      }
      owned = true;
    });
  }

  return {
    state: (step) => states[step],
    attempt,
    isPrepared: ({ migrationsHash, topicsHash }) => done.topics === topicsHash && done.migrations === migrationsHash,
    partitions: () => partitions,
    databaseOf: () => databaseOf,
    async ensureTopics(plan) {
      if (done.topics === plan.topicsHash) return true;
      return await attempt("topics", `${plan.topics.length} topics are there`, async () => {
        await runtime.ensureTopics(plan.topics);
        done.topics = plan.topicsHash;
      });
    },
    async ensureSchema(plan) {
      if (plan.migrations.length > 0 && !(await ensureOwned())) return false;
      const migrated =
        done.migrations === plan.migrationsHash ||
        (await attempt("schema", `tables of ${plan.migrations.join(" and ")} are up to date`, async () => {
          await Promise.all(plan.migrations.map((service) => runtime.migrate(service)));
          done.migrations = plan.migrationsHash;
        }));
      if (!migrated) return false;
      const hash = JSON.stringify(plan.partitions);
      if (done.partitions === hash && nowMs() - done.partitionsAtMs < partitionsEveryMs) return true;
      const startedAtMs = nowMs();
      return await attempt("partitions", "partitions are ahead of time", async () => {
        partitions = await runtime.ensurePartitions(plan.partitions);
        done.partitions = hash;
        done.partitionsAtMs = startedAtMs;
      });
    },
  };
}

/** In its span waiting is no failure. */
function orStillWaiting(error: unknown): StillWaiting {
  if (error instanceof StillWaiting) return error;
  throw error;
}
