import { join } from "node:path";
import { parseArgs } from "node:util";
import { readEndpoints } from "./directory.ts";
import { InfraError } from "./exec.ts";
import { eraseInfra, infraStatus, startInfra, stopInfra } from "./infra.ts";
import { seconds } from "./progress.ts";
import { type ServiceName, serviceNames } from "./types.ts";

const usage = `npm run infra -- <command> [options]

  up         start Kafka, PostgreSQL (primary and replica) and Redis, whichever does not run
  down       stop them; their data stays
  reset      stop them and delete their data
  status     what runs (exit code 3 unless all of it does)
  endpoints  their addresses as JSON

  --only kafka,postgres,redis,s3   just these (s3 is started only when it is named)
  --dir DIR                        where data, logs and addresses lie (default .run/infra)
  --ports fixed|random             fixed unless said otherwise; a set keeps its ports until reset
  --mode auto|native|compose       auto: Docker Compose if it can be had, otherwise native
  --json                           the answer as JSON on stdout, progress on stderr
`;

const defaultServices: readonly ServiceName[] = ["kafka", "postgres", "redis"];

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  try {
    return await run(args);
  } catch (error) {
    if (!(error instanceof InfraError) && !isUsageError(error)) throw error;
    console.error(`infra: ${error.message}`);
    return isUsageError(error) ? 2 : 1;
  }
}

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      only: { type: "string" },
      dir: { type: "string", default: join(import.meta.dirname, "..", "..", ".run", "infra") },
      ports: { type: "string", default: "fixed" },
      mode: { type: "string", default: "auto" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const { dir, json } = values;
  const log = (line: string): void => (json ? console.error(line) : console.log(line));
  const print = (value: unknown): void => console.log(JSON.stringify(value, null, 2));
  const only = values.only?.split(",").flatMap((name) => (name === "" ? [] : oneOf(name, serviceNames)));
  const [command = "", ...rest] = positionals;
  if (values.help || rest.length > 0) {
    console.log(usage);
    return values.help ? 0 : 2;
  }
  switch (command) {
    case "up": {
      const startedAt = performance.now();
      const { endpoints } = await startInfra({
        dir,
        services: only ?? defaultServices,
        ports: oneOf(values.ports, ["fixed", "random"]),
        mode: oneOf(values.mode, ["auto", "native", "compose"]),
        lifetime: "detached",
        log,
      });
      log(`up in ${seconds(performance.now() - startedAt)}`);
      print(endpoints);
      return 0;
    }
    case "down":
      await stopInfra(dir, log, only);
      log("stopped");
      return 0;
    case "reset":
      await eraseInfra(dir, log);
      log("stopped and emptied");
      return 0;
    case "status": {
      const servers = (await infraStatus(dir)).filter(({ service }) => only?.includes(service) ?? true);
      if (json) print(servers);
      else if (servers.length === 0) log("never started");
      else
        for (const { name, port, running } of servers)
          log(`${name.padEnd(18)} ${running ? `port ${port}` : "stopped"}`);
      return servers.length > 0 && servers.every(({ running }) => running) ? 0 : 3;
    }
    case "endpoints": {
      const endpoints = readEndpoints(dir);
      if (endpoints === undefined) throw new InfraError("nothing runs: `npm run infra -- up` starts it");
      print(endpoints);
      return 0;
    }
    default:
      console.error(usage);
      return 2;
  }
}

function oneOf<T extends string>(value: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw new InfraError(`"${value}" is none of ${allowed.join(", ")}`);
  return found;
}

function isUsageError(error: unknown): error is Error {
  return error instanceof Error && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}
