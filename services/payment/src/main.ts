import { type Lifecycle, runMain } from "@pricing-engine/chassis/lifecycle";
import { makeLogger } from "@pricing-engine/chassis/log";
import {
  findRole,
  loadApiConfig,
  loadDeadLetterConfig,
  loadMigrationConfig,
  loadReleaseConfig,
  loadToolConfig,
  loadWorkerConfig,
  roles,
} from "./config.ts";

const args = process.argv.slice(2);
const role = findRole(args, process.env);

/** A command: what it opens it closes, and its end is the process's. */
async function runCommand(name: string, command: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await command();
  } catch (error) {
    makeLogger({ name, level: "info" }).fatal({ err: error }, error instanceof Error ? error.message : "failed");
    process.exitCode = 1;
  }
}

const write = (line: string): void => void process.stdout.write(`${line}\n`);

// A role loads what it needs and no more: modules are most of a process' memory.
switch (role) {
  case "api":
    runMain("payment-api", async (lifecycle: Lifecycle, logger) => {
      const { runApi } = await import("./roles/api.ts");
      return await runApi(loadApiConfig(process.env), lifecycle, logger);
    });
    break;
  case "worker":
    runMain("payment-worker", async (lifecycle: Lifecycle, logger) => {
      const { runWorker } = await import("./roles/worker.ts");
      return await runWorker(loadWorkerConfig(process.env), lifecycle, logger);
    });
    break;
  case "migrate":
    await runCommand("payment-migrate", async () => {
      const { migrate } = await import("./roles/migrate.ts");
      const { POSTGRES_URL } = loadMigrationConfig(process.env);
      await migrate(POSTGRES_URL, makeLogger({ name: "payment-migrate", level: "info" }));
      return 0;
    });
    break;
  case "reconcile":
    await runCommand("payment-reconcile", async () => {
      const { runReconcile } = await import("./roles/reconcile.ts");
      return await runReconcile(args.slice(1), loadToolConfig(process.env), write);
    });
    break;
  case "release":
    await runCommand("payment-release", async () => {
      const { runRelease } = await import("./roles/release.ts");
      return await runRelease(args.slice(1), loadReleaseConfig(process.env), write);
    });
    break;
  case "manual-review":
    await runCommand("payment-manual-review", async () => {
      const { runManualReview } = await import("./roles/manual-review.ts");
      return await runManualReview(loadMigrationConfig(process.env), write);
    });
    break;
  case "reviewed":
    await runCommand("payment-reviewed", async () => {
      const { runReviewed } = await import("./roles/reviewed.ts");
      return await runReviewed(args.slice(1), loadMigrationConfig(process.env), write);
    });
    break;
  case "dlq":
    await runCommand("payment-dlq", async () => {
      const { runDeadLetters } = await import("@pricing-engine/kafka");
      return await runDeadLetters("payment-dlq", args.slice(1), loadDeadLetterConfig(process.env));
    });
    break;
  case undefined:
    process.stderr.write(`usage: payment ${roles.join("|")}\n`);
    process.exitCode = 2;
}
