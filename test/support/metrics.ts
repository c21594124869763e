import type { SpawnedService } from "@pricing-engine/testkit";

/** The sum of a metric's samples whose labels include these; 0 when there are none. */
export async function readMetric(
  service: SpawnedService,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${service.metricsPort}/metrics`);
  let sum = 0;
  for (const line of (await answer.text()).split("\n")) {
    const [, found, tags = "", value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (found !== name) continue;
    if (Object.entries(labels).every(([key, text]) => tags.includes(`${key}="${text}"`))) sum += Number(value);
  }
  return sum;
}
