import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findDuration } from "@pricing-engine/chassis/config";
import { UserError } from "../runtime/local/user-error.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
export const examplesDir = join(root, "examples");

export interface LocalOptions {
  readonly command: "start" | "stop" | "status";
  /** Absolute. */
  readonly file: string;
  readonly stateDir: string;
  readonly infraDir: string;
  readonly port: number;
  readonly host: string;
  readonly detach: boolean;
  readonly demo: boolean;
  readonly verbose: boolean;
  readonly json: boolean;
  /** With --detach: how long Ready may take, without the downloads of a first start. */
  readonly timeoutMs: number;
  /** How long less must be needed before a worker goes; undefined: the default. */
  readonly scaleDownWindowMs: number | undefined;
  /** Where each look at the groups is written down with its decision; absolute. */
  readonly scalingJournal: string | undefined;
  /** Where services lie bundled as in their images, each in a folder; absolute. Undefined: they run from sources. */
  readonly bundles: string | undefined;
}

export const usage = `Usage: npm start -- [options]    npm stop    npm run status [-- --json]

  -f, --file <yaml>     the PricingEngine to run (default examples/shop.yaml); edits are taken over while it runs
  --port <port>         port of the API (default 9999, or PE_PORT)
  --host <address>      address of the API (default 127.0.0.1)
  --detach              return when it is ready, and leave it running (npm stop ends it)
  --no-demo             import nothing and show nothing
  --verbose             show every log line of every process
  --timeout <seconds>   with --detach: give up when it is not ready by then (default 180)
  --state-dir <dir>     keys, settings, logs (default .run/engine, or PE_STATE_DIR); one engine each
  --infra-dir <dir>     data of Kafka, Postgres and Redis (default .run/infra, or PE_INFRA_DIR)`;

/** @throws UserError for arguments that make no sense */
export function parseLocalOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): LocalOptions | "help" {
  const { values, positionals } = parse(argv);
  if (values.help === true) return "help";
  const [command = "start", extra] = positionals;
  if ((command !== "start" && command !== "stop" && command !== "status") || extra !== undefined) {
    throw new UserError(`unknown command: ${positionals.join(" ")}\n\n${usage}`);
  }
  // npm runs scripts in the root; a path is meant from where the person stood.
  const from = env.INIT_CWD ?? cwd;
  const place = (given: string | undefined, fallback: string) => (given ? resolve(from, given) : join(root, fallback));
  const stateDir = place(values["state-dir"] ?? env.PE_STATE_DIR, ".run/engine");
  return {
    command,
    file: place(values.file, "examples/shop.yaml"),
    stateDir,
    infraDir: place(values["infra-dir"] ?? env.PE_INFRA_DIR, join(".run", "infra")),
    port: number("--port", values.port ?? env.PE_PORT ?? "9999", 1, 65_535),
    host: values.host ?? "127.0.0.1",
    detach: values.detach ?? false,
    demo: values["no-demo"] !== true,
    verbose: values.verbose ?? false,
    json: values.json ?? false,
    timeoutMs: number("--timeout", values.timeout ?? "180", 1, 86_400) * 1000,
    scaleDownWindowMs: duration("PE_SCALE_DOWN_WINDOW", env.PE_SCALE_DOWN_WINDOW),
    bundles: env.PE_BUNDLES ? resolve(from, env.PE_BUNDLES) : undefined,
    scalingJournal: env.PE_SCALING_JOURNAL ? resolve(from, env.PE_SCALING_JOURNAL) : undefined,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        file: { type: "string", short: "f" },
        port: { type: "string" },
        host: { type: "string" },
        detach: { type: "boolean", short: "d" },
        "no-demo": { type: "boolean" },
        verbose: { type: "boolean", short: "v" },
        json: { type: "boolean" },
        timeout: { type: "string" },
        "state-dir": { type: "string" },
        "infra-dir": { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UserError(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  }
}

function number(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new UserError(`${option} must be a whole number from ${min} to ${max}, got ${JSON.stringify(text)}`);
}

function duration(variable: string, text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const ms = findDuration(text);
  if (ms !== undefined && ms >= 5_000) return ms;
  throw new UserError(`${variable} must be a duration of at least 5s, got ${JSON.stringify(text)}`);
}

/** The engine's address as a person would call it. */
export function addressOf(host: string, port: number): string {
  const shown = host === "0.0.0.0" || host === "::" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return `http://${shown}:${port}`;
}
