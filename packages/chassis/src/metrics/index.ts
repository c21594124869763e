export { healthAnswer, type MetricsServerOptions, startMetricsServer } from "./metrics-server.ts";
export { collectProcessMetrics, counter, gauge, histogram, registry, shareReading } from "./registry.ts";
