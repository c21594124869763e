import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { runPartitions } from "@pricing-engine/operator/partitions";
import type { Plan, ServiceName } from "@pricing-engine/operator/plan";
import type { Pool } from "@pricing-engine/postgres";

export function serviceEntry(service: ServiceName): string {
  const isSimulator = service === "processor" || service === "provider";
  const path = isSimulator ? `../simulators/${service}/main.ts` : `../../services/${service}/src/main.ts`;
  return fileURLToPath(new URL(path, import.meta.url));
}

/** The migration jobs of a plan, then the partitions of its tables. */
export async function prepareTables(
  url: string,
  pool: Pool,
  { migrations, partitions }: Pick<Plan, "migrations" | "partitions">,
): Promise<void> {
  const env = { PATH: process.env.PATH, POSTGRES_URL: url };
  for (const service of migrations) {
    await promisify(execFile)(process.execPath, [serviceEntry(service), "migrate"], { env, timeout: 60_000 });
  }
  for (const { table, spec } of partitions) {
    const [report] = await runPartitions(pool, [table], spec, Date.now);
    if (report?.aheadUntilMs === undefined) throw new Error(`no partition of ${table.name}: ${JSON.stringify(report)}`);
  }
}
