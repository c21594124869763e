import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { explain, Failure } from "./failure.mjs";
import { runToEnd } from "./run.mjs";
import { ensureToolchain } from "./toolchain.mjs";
import { ensureWorkspace } from "./workspace.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Ends a process whose pipe on fd 3 breaks. */
const guard = "./operator/src/runtime/local/child-guard.mjs";

/** What runs for each word after `main.mjs`, with the pinned Node and pnpm first on the PATH. */
const commands = {
  start: (args) => ["node", ["--import", guard, "operator/src/main.ts", "local", "start", ...args]],
  stop: (args) => ["node", ["operator/src/main.ts", "local", "stop", ...args]],
  status: (args) => ["node", ["operator/src/main.ts", "local", "status", ...args]],
  orders: (args) => ["node", ["operator/src/main.ts", "orders", ...args]],
  dlq: (args) => ["node", ["operator/src/main.ts", "dlq", ...args]],
  ingest: (args) => ["node", ["operator/src/main.ts", "ingest", ...args]],
  payments: (args) => ["node", ["operator/src/main.ts", "payments", ...args]],
  images: (args) => ["node", ["hack/images/main.ts", ...args]],
  infra: (args) => ["node", ["hack/infra/main.ts", ...args]],
  test: (args) => ["node", ["hack/test-runner/main.ts", ...args]],
  run: (args) => ["pnpm", ["run", ...args]],
};

/**
 * Gets the toolchain and the workspace's packages where they are missing, then runs the command in its own process
 * group and ends as it ends.
 *
 * @param {string[]} argv
 */
export async function bootstrap(argv) {
  const [name = "", ...args] = argv;
  try {
    if (!Object.hasOwn(commands, name)) throw new Failure(`usage: main.mjs ${Object.keys(commands).join("|")} …`);
    const { bin } = await ensureToolchain();
    const env = childEnvironment(bin);
    await ensureWorkspace({ root, bin, env });
    const [program, programArgs] = commands[name](args);
    // Under npm alone: there nobody means to leave us behind.
    const endWithParent = process.env.npm_lifecycle_event !== undefined;
    await runToEnd(join(bin, program), programArgs, { cwd: root, env, endWithParent });
  } catch (error) {
    console.error(explain(error));
    process.exitCode = 1;
  }
}

/**
 * Without what npm tells its scripts: settings of that npm are noise, or wrong, for whatever runs below. INIT_CWD stays:
 * it is where the person stood, and a relative path on the command line is meant from there.
 */
function childEnvironment(bin) {
  const kept = Object.entries(process.env).filter(([key]) => !/^npm_/i.test(key));
  return { ...Object.fromEntries(kept), PATH: `${bin}:${process.env.PATH ?? ""}` };
}
