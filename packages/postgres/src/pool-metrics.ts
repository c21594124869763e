import { gauge } from "@pricing-engine/chassis/metrics";

interface Use {
  readonly busy: number;
  readonly idle: number;
  readonly waiting: number;
}

const pools = new Set<{ readonly name: string; readonly use: () => Use }>();

/** Shows the pool's use at scrape time until the returned function is called. Pools of one name are added up. */
export function trackPool(name: string, use: () => Use): () => void {
  const entry = { name, use };
  pools.add(entry);
  gauge({
    name: "pricing_engine_postgres_pool",
    help: "Connections to Postgres that are lent (busy) and kept (idle), and callers that wait for one (waiting).",
    labels: ["pool", "state"],
    collect(metric) {
      metric.reset();
      for (const pool of pools) {
        for (const [state, count] of Object.entries(pool.use())) metric.inc({ pool: pool.name, state }, count);
      }
    },
  });
  return () => void pools.delete(entry);
}
