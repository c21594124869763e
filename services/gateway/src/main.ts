import { loadConfig } from "@pricing-engine/chassis/config";
import { runMain } from "@pricing-engine/chassis/lifecycle";
import { makeLogger } from "@pricing-engine/chassis/log";
import { migrationConfigSchema } from "./config.ts";

// A role loads what it needs and no more: modules are most of a process' memory.
const role = process.argv[2] ?? process.env.ENGINE_ROLE;

switch (role) {
  case "api":
    runMain("gateway", async (lifecycle, logger) => {
      const { runApi } = await import("./roles/api.ts");
      return await runApi(lifecycle, logger);
    });
    break;
  case "migrate": {
    const logger = makeLogger({ name: "gateway-migrate" });
    try {
      const { migrate } = await import("./roles/migrate.ts");
      await migrate(loadConfig(migrationConfigSchema, process.env).POSTGRES_URL, logger);
    } catch (error) {
      logger.fatal({ err: error }, error instanceof Error ? error.message : "failed");
      process.exitCode = 1;
    }
    break;
  }
  default:
    process.stderr.write("usage: gateway api|migrate\n");
    process.exitCode = 2;
}
