import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startInfra } from "@pricing-engine/hack/infra";
import type { TestProject } from "vitest/node";
import { dropLeftovers } from "./database.ts";
import type { TestInfra } from "./infra.ts";

/** One private set of real servers for the whole run, or the one that `PE_TEST_INFRA` names. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { endpoints, stop } = await findOrStart();
  const run = randomBytes(4).toString("hex");
  project.provide("infra", endpoints);
  project.provide("runId", run);
  return async () => {
    const forgotten = await dropLeftovers(endpoints.postgresUrl, run).finally(stop);
    if (forgotten.length > 0) throw new Error(`tests left databases behind: ${forgotten.join(", ")}`);
  };
}

async function findOrStart(): Promise<{ endpoints: TestInfra; stop: () => Promise<void> }> {
  const shared = process.env.PE_TEST_INFRA;
  if (shared !== undefined && shared !== "") {
    const endpoints = JSON.parse(readFileSync(shared, "utf8")) as TestInfra;
    return { endpoints, stop: async () => {} };
  }
  return startInfra({
    dir: mkdtempSync(join(tmpdir(), "pricing-engine-test-")),
    services: ["kafka", "postgres", "redis"],
    ports: "random",
    lifetime: "session",
    ephemeral: true,
    log: (line) => console.log(`infra: ${line}`),
  });
}
