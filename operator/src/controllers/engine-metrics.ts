import { counter, gauge } from "@pricing-engine/chassis/metrics";
import type { EngineStatus } from "../api/status.ts";
import type { ScaleDecision } from "../core/scale.ts";

export interface EngineMetrics {
  /** @param engine `<namespace>/<name>` */
  set(engine: string, status: EngineStatus): void;
  /** Counts a look at a role that scales, by what came of it. */
  decided(engine: string, role: string, decision: Pick<ScaleDecision, "reason">): void;
  forget(engine: string): void;
}

const labels = ["engine_namespace", "engine"] as const;

/** What the operator knows of its engines, as metrics. Read at scrape time, so a figure is as fresh as the last look. */
export function makeEngineMetrics(): EngineMetrics {
  const engines = new Map<string, EngineStatus>();
  const each = <Label extends string>(
    name: string,
    help: string,
    more: readonly Label[],
    rows: (status: EngineStatus) => readonly { readonly labels: Record<Label, string>; readonly value: number }[],
  ): void => {
    gauge<Label | (typeof labels)[number]>({
      name,
      help,
      labels: [...labels, ...more],
      collect(metric) {
        metric.reset();
        for (const [key, status] of engines) {
          const [engine_namespace = "", engine = ""] = key.split("/");
          for (const row of rows(status)) {
            const values = { engine_namespace, engine, ...row.labels } as Record<
              Label | (typeof labels)[number],
              string
            >;
            metric.set(values, row.value);
          }
        }
      },
    });
  };
  each(
    "pricing_engine_partition_runway_seconds",
    "Time until rows of the table have no partition.",
    ["table"],
    ({ partitions }) =>
      partitions.map(({ table, aheadUntil }) => {
        return { labels: { table }, value: Math.max(0, (Date.parse(aheadUntil) - Date.now()) / 1000) };
      }),
  );
  each(
    "pricing_engine_processor_up",
    "0 while the probes say that the payment processor is down, 1 while they say that it is not; none while that is unknown.",
    ["processor"],
    ({ processors = [] }) =>
      processors
        .filter(({ state }) => state !== "Unknown")
        .map(({ name, state }) => ({ labels: { processor: name }, value: state === "Down" ? 0 : 1 })),
  );
  each("pricing_engine_workers_desired", "Copies of a role that are wanted.", ["role"], ({ workers }) =>
    workers.map(({ role, desired }) => ({ labels: { role }, value: desired })),
  );
  each("pricing_engine_workers_ready", "Copies of a role that are ready.", ["role"], ({ workers }) =>
    workers.map(({ role, ready }) => ({ labels: { role }, value: ready })),
  );
  each("pricing_engine_condition", "1 while the condition of the engine is True.", ["type"], ({ conditions }) =>
    conditions.map(({ type, status }) => ({ labels: { type }, value: status === "True" ? 1 : 0 })),
  );
  const decisions = counter({
    name: "pricing_engine_scale_decisions_total",
    help: "Looks at a role that scales, by what came of them.",
    labels: [...labels, "role", "reason"],
  });
  return {
    set(engine, status) {
      engines.set(engine, status);
    },
    decided(key, role, { reason }) {
      const [engine_namespace = "", engine = ""] = key.split("/");
      decisions.inc({ engine_namespace, engine, role, reason });
    },
    forget(engine) {
      engines.delete(engine);
    },
  };
}
