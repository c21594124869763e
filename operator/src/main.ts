/**
 * `main.ts local start|stop|status`: an engine on this machine; `npm start` is a thin wrapper over it.
 * `main.ts controller`: the operator in a cluster.
 */
import { enableCompileCache } from "node:module";
import { setFlagsFromString } from "node:v8";
import type { LocalOptions } from "./cli/options.ts";
import { parseLocalOptions, usage } from "./cli/options.ts";
import { makeProgress } from "./cli/progress.ts";
import { showStatus } from "./cli/status.ts";
import { openStateDir } from "./runtime/local/state-dir.ts";
import { describeError } from "./runtime/local/user-error.ts";

async function run(argv: readonly string[]): Promise<number> {
  const [runtime, ...rest] = argv;
  if (runtime === "controller") {
    keepYoungSpaceSmall();
    const [{ runMain }, { loadControllerConfig }, { runController }] = await Promise.all([
      import("@pricing-engine/chassis/lifecycle"),
      import("./config.ts"),
      import("./cli/run-controller.ts"),
    ]);
    runMain("operator", (lifecycle, logger) => runController(loadControllerConfig(process.env), lifecycle, logger));
    return 0;
  }
  if (runtime === "dlq") {
    const here = parseLocalOptions([], process.env, process.cwd());
    const { runDeadLetters } = await import("./cli/dead-letters.ts");
    return here === "help" ? 0 : await runDeadLetters(openStateDir(here.stateDir), rest);
  }
  if (runtime === "orders" || runtime === "ingest") {
    const here = parseLocalOptions([], process.env, process.cwd());
    const { runServiceTool } = await import("./cli/service-tool.ts");
    return here === "help" ? 0 : await runServiceTool(runtime, openStateDir(here.stateDir), rest);
  }
  if (runtime === "payments") {
    const here = parseLocalOptions([], process.env, process.cwd());
    const { runPayments } = await import("./cli/payments.ts");
    return here === "help" ? 0 : await runPayments(openStateDir(here.stateDir), rest);
  }
  if (runtime !== "local" && runtime !== "local-background") {
    console.error(usage);
    return 2;
  }
  const options = parseLocalOptions(rest, process.env, process.cwd());
  if (options === "help") {
    console.log(usage);
    return 0;
  }
  if (options.command === "start") return await start(runtime, options, rest);
  const dir = openStateDir(options.stateDir);
  const say = (line: string) => console.log(line);
  if (options.command === "status") return showStatus(dir, options.json, say);
  const { stopEngine } = await import("./cli/stop.ts");
  await stopEngine(dir, makeProgress(say));
  return 0;
}

/** The young generation would grow to 32 MB for the garbage of a start, and keep it. */
function keepYoungSpaceSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}

/** Everything heavy is imported here, from the compile cache. */
async function start(
  runtime: "local" | "local-background",
  options: LocalOptions,
  argv: readonly string[],
): Promise<number> {
  keepYoungSpaceSmall();
  enableCompileCache(openStateDir(options.stateDir).compileCacheDir);
  const { tuneCollector } = await import("@pricing-engine/chassis/lifecycle");
  tuneCollector();
  if (options.detach && runtime === "local") {
    const { startDetached } = await import("./cli/start-detached.ts");
    return await startDetached(options, argv, console.log);
  }
  const { runBackground, startAttached } = await import("./cli/start.ts");
  return runtime === "local" ? await startAttached(options, console.log) : await runBackground(options);
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
