import { Counter, collectDefaultMetrics, Gauge, Histogram, register } from "prom-client";

/** The registry of the process. Metric names start with `pricing_engine_`; units are Prometheus' (seconds, bytes). */
export const registry = register;

type MetricOptions<Label extends string> = { name: string; help: string; labels?: readonly Label[] };

/** The counter of that name, made on first use: modules may be loaded twice in tests. */
export function counter<Label extends string = never>({
  name,
  help,
  labels = [],
}: MetricOptions<Label>): Counter<Label> {
  const known = registry.getSingleMetric(name);
  return known instanceof Counter ? known : new Counter({ name, help, labelNames: labels });
}

/**
 * The gauge of that name; `collect` sets it at scrape time, it alone, and each gauge by its own: one that another's collection filled
 * would show what it was a scrape ago. While it rejects (Postgres is away), the gauge says what it said last, and the scrape goes on.
 */
export function gauge<Label extends string = never>({
  name,
  help,
  labels = [],
  collect,
}: MetricOptions<Label> & { collect?: (gauge: Gauge<Label>) => void | Promise<void> }): Gauge<Label> {
  if (registry.getSingleMetric(name) !== undefined && collect !== undefined) registry.removeSingleMetric(name);
  const known = registry.getSingleMetric(name);
  if (known instanceof Gauge) return known;
  return new Gauge({
    name,
    help,
    labelNames: labels,
    ...(collect === undefined
      ? {}
      : {
          collect() {
            return collect(this)?.catch(() => undefined);
          },
        }),
  });
}

/** One reading for all the gauges that show a part of it: those of a scrape are collected side by side, so they are of one moment. */
export function shareReading<T>(read: () => T | Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined;
  return () => {
    reading ??= Promise.resolve()
      .then(read)
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };
}

/** The histogram of that name; buckets in the metric's unit. */
export function histogram<Label extends string = never>({
  name,
  help,
  labels = [],
  buckets,
}: MetricOptions<Label> & { buckets?: number[] }): Histogram<Label> {
  const known = registry.getSingleMetric(name);
  if (known instanceof Histogram) return known;
  return new Histogram({ name, help, labelNames: labels, ...(buckets === undefined ? {} : { buckets }) });
}

/** CPU, memory, event loop and garbage collection of the process; once. */
export function collectProcessMetrics(): void {
  if (registry.getSingleMetric("process_cpu_user_seconds_total") === undefined) collectDefaultMetrics();
}
