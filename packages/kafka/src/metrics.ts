import { counter, gauge, histogram } from "@pricing-engine/chassis/metrics";

type Outcome = "done" | "retried" | "dead" | "outage";

/** What a consumer reports to Prometheus; the labels are few: topics and groups of one engine. */
export interface ConsumerMetrics {
  handled(topic: string, outcome: Outcome, durationMs: number): void;
  failed(topic: string, code: string): void;
  lag(partition: { topic: string; partition: number }, records: number): void;
  restarted(): void;
}

export function makeConsumerMetrics(group: string): ConsumerMetrics {
  const consumed = counter({
    name: "pricing_engine_kafka_messages_total",
    help: "Messages by what became of them: done, retried, dead (lettered), outage (tried again, not counted as an attempt).",
    labels: ["group", "topic", "outcome"],
  });
  const failures = counter({
    name: "pricing_engine_kafka_failures_total",
    help: "Failed attempts by error code.",
    labels: ["group", "topic", "code"],
  });
  const duration = histogram({
    name: "pricing_engine_kafka_handler_seconds",
    help: "Time in the handler.",
    labels: ["group", "topic"],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
  });
  const lagGauge = gauge({
    name: "pricing_engine_kafka_lag_records",
    help: "Records behind the end of a partition, as far as this member saw it.",
    labels: ["group", "topic", "partition"],
  });
  const restarts = counter({
    name: "pricing_engine_kafka_loop_restarts_total",
    help: "Run loops that crashed or fell silent and were replaced.",
    labels: ["group"],
  });

  return {
    handled(topic, outcome, durationMs) {
      consumed.inc({ group, topic, outcome });
      duration.observe({ group, topic }, durationMs / 1_000);
    },
    failed(topic, code) {
      failures.inc({ group, topic, code });
    },
    lag({ topic, partition }, records) {
      lagGauge.set({ group, topic, partition: String(partition) }, Math.max(0, records));
    },
    restarted() {
      restarts.inc({ group });
    },
  };
}
