import { type Lifecycle, runMain } from "@pricing-engine/chassis/lifecycle";
import { makeLogger } from "@pricing-engine/chassis/log";
import { findRole, loadCommandConfig, loadIngestConfig, loadMigrationConfig, roles } from "./config.ts";

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

// A role loads what it needs and no more: modules are most of a process' memory.
switch (role) {
  case "poller":
    runMain("ingest-poller", async (lifecycle: Lifecycle, logger) => {
      const { runPoller } = await import("./roles/poller.ts");
      return await runPoller(loadIngestConfig(process.env), lifecycle, logger);
    });
    break;
  case "worker":
    runMain("ingest-worker", async (lifecycle: Lifecycle, logger) => {
      const { runWorker } = await import("./roles/worker.ts");
      return await runWorker(loadIngestConfig(process.env), lifecycle, logger);
    });
    break;
  case "api":
    runMain("ingest-api", async (lifecycle: Lifecycle, logger) => {
      const { runApi } = await import("./roles/api.ts");
      return await runApi(loadIngestConfig(process.env), lifecycle, logger);
    });
    break;
  case "migrate":
    await runCommand("ingest-migrate", async () => {
      const { migrate } = await import("./roles/migrate.ts");
      const logger = makeLogger({ name: "ingest-migrate", level: "info" });
      await migrate(loadMigrationConfig(process.env).POSTGRES_URL, logger);
      return 0;
    });
    break;
  case "rejected":
    await runCommand("ingest-rejected", async () => {
      const { runRejected } = await import("./roles/rejected.ts");
      return await runRejected(
        args.slice(1),
        loadCommandConfig(process.env),
        makeLogger({ name: "ingest-rejected", level: "warn" }),
      );
    });
    break;
  case "dlq":
    await runCommand("ingest-dlq", async () => {
      const { runDeadLetters } = await import("@pricing-engine/kafka");
      return await runDeadLetters("ingest-dlq", args.slice(1), loadCommandConfig(process.env));
    });
    break;
  case undefined:
    process.stderr.write(`usage: ingest ${roles.join("|")}\n`);
    process.exitCode = 2;
}
