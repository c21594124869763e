import { runMain } from "@pricing-engine/chassis/lifecycle";
import { makeLogger } from "@pricing-engine/chassis/log";
import { findRole, loadDeadLetterConfig, loadMigrationConfig, loadPricingConfig, roles } from "./config.ts";

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
  case "api":
    runMain("pricing-api", async (lifecycle, logger) => {
      const { runApi } = await import("./roles/api.ts");
      return await runApi(loadPricingConfig(process.env), lifecycle, logger);
    });
    break;
  case "worker":
    runMain("pricing-worker", async (lifecycle, logger) => {
      const { runWorker } = await import("./roles/worker.ts");
      return await runWorker(loadPricingConfig(process.env), lifecycle, logger);
    });
    break;
  case "migrate":
    await runCommand("pricing-migrate", async () => {
      const { migrate } = await import("./roles/migrate.ts");
      await migrate(
        loadMigrationConfig(process.env).POSTGRES_URL,
        makeLogger({ name: "pricing-migrate", level: "info" }),
      );
      return 0;
    });
    break;
  case "dlq":
    await runCommand("pricing-dlq", async () => {
      const { runDeadLetters } = await import("@pricing-engine/kafka");
      return await runDeadLetters("pricing-dlq", args.slice(1), loadDeadLetterConfig(process.env));
    });
    break;
  case undefined:
    process.stderr.write(`usage: pricing ${roles.join("|")}\n`);
    process.exitCode = 2;
}
