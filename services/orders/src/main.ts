import { type Lifecycle, runMain } from "@pricing-engine/chassis/lifecycle";
import { makeLogger } from "@pricing-engine/chassis/log";
import { findRole, loadApiConfig, loadDatabaseConfig, loadDeadLetterConfig, loadStageConfig, roles } from "./config.ts";

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
    runMain("orders-api", async (lifecycle: Lifecycle, logger) => {
      const { runApi } = await import("./roles/api.ts");
      return await runApi(loadApiConfig(process.env), lifecycle, logger);
    });
    break;
  case "inventory":
  case "payment":
  case "fulfillment":
  case "notification":
    runMain(`orders-${role}`, async (lifecycle: Lifecycle, logger) => {
      const { runStage } = await import("./roles/stage.ts");
      return await runStage(role, loadStageConfig(role, process.env), lifecycle, logger);
    });
    break;
  case "migrate":
    await runCommand("orders-migrate", async () => {
      const { migrate } = await import("./roles/migrate.ts");
      const logger = makeLogger({ name: "orders-migrate", level: "info" });
      await migrate(loadDatabaseConfig(process.env).POSTGRES_URL, logger);
      return 0;
    });
    break;
  case "trace":
    await runCommand("orders-trace", async () => {
      const { runTrace } = await import("./roles/trace.ts");
      return await runTrace(
        args.slice(1),
        loadDatabaseConfig(process.env),
        (line) => void process.stdout.write(`${line}\n`),
      );
    });
    break;
  case "dlq":
    await runCommand("orders-dlq", async () => {
      const { runDeadLetters } = await import("@pricing-engine/kafka");
      return await runDeadLetters("orders-dlq", args.slice(1), loadDeadLetterConfig(process.env));
    });
    break;
  case undefined:
    process.stderr.write(`usage: orders ${roles.join("|")}\n`);
    process.exitCode = 2;
}
