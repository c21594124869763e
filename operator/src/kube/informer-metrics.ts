import { gauge } from "@pricing-engine/chassis/metrics";

const ages = new Set<{ readonly resource: string; readonly ageMs: () => number }>();

/** Shows the age of the oldest last event per resource at scrape time, until the returned function is called. */
export function trackInformer(resource: string, ageMs: () => number): () => void {
  const entry = { resource, ageMs };
  ages.add(entry);
  gauge({
    name: "pricing_engine_operator_watch_last_event_age_seconds",
    help: "Since the API server last said anything on a watch (bookmarks count), the quietest watch of a resource.",
    labels: ["resource"],
    collect(metric) {
      metric.reset();
      const oldest = new Map<string, number>();
      for (const each of ages) {
        oldest.set(each.resource, Math.max(oldest.get(each.resource) ?? 0, each.ageMs()));
      }
      for (const [name, age] of oldest) metric.set({ resource: name }, age / 1000);
    },
  });
  return () => void ages.delete(entry);
}
