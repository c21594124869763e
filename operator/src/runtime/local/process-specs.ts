/** What a workload's processes are told, and how they are started. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assertNever } from "@pricing-engine/chassis/errors";
import type { EnvValue, Role, ServiceName, Workload } from "../../core/plan.ts";
import type { LocalRuntimeOptions } from "./local-runtime.ts";
import type { ProcessSpec } from "./managed-process.ts";

function findEntry(service: ServiceName, bundles: string | undefined): string {
  const isSimulator = service === "processor" || service === "provider";
  if (bundles !== undefined && !isSimulator) return join(bundles, service, "src/roles/main.mjs");
  const path = isSimulator ? `test/simulators/${service}/main.ts` : `services/${service}/src/main.ts`;
  return fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
}

export interface ProcessSpecs {
  /** The `nth` copy of the workload, from 1. */
  toProcess(workload: Workload, nth: number): ProcessSpec;
  /** Undefined: a variable that is left out here. */
  resolve(value: EnvValue): string | undefined;
  /** The file that runs a service. */
  entryOf(service: ServiceName): string;
  /** Where an internal workload listens. */
  urlOf(role: Role): string;
}

export function makeProcessSpecs(
  options: Pick<
    LocalRuntimeOptions,
    "bundles" | "connections" | "dir" | "getSecret" | "host" | "internalPorts" | "port" | "secretsHash"
  > & { readonly baseEnv: Readonly<Record<string, string>> },
): ProcessSpecs {
  const { connections, dir } = options;
  const entryOf = (service: ServiceName) => findEntry(service, options.bundles);
  const urlOf = (role: Role): string => `http://127.0.0.1:${options.internalPorts[role] ?? 0}`;

  function resolve(value: EnvValue): string | undefined {
    switch (value.from) {
      case "value":
        return value.value;
      case "connection":
        return connections[value.connection];
      case "file":
        return {
          settings: dir.settingsFile,
          "signing-keys": dir.signingKeysFile,
          "admin-key": dir.adminKeyFile,
          "source-tokens": dir.sourceTokensFile,
          "processor-default": dir.processorLedgerFile("default"),
          "processor-fallback": dir.processorLedgerFile("fallback"),
        }[value.file];
      case "replica":
        return connections.replica;
      case "secret":
        return options.getSecret(value.secret, value.key);
      case "receipts":
        return (connections.receipts as Readonly<Record<string, string>> | undefined)?.[value.part];
      case "workload":
        return urlOf(value.role);
      default:
        return assertNever(value);
    }
  }

  function resolveEnv(env: Workload["env"]): Record<string, string> {
    return Object.fromEntries(
      Object.entries(env).flatMap(([name, value]) => {
        const resolved = resolve(value);
        return resolved === undefined ? [] : [[name, resolved]];
      }),
    );
  }

  function listenEnv(workload: Workload): Record<string, string> {
    switch (workload.exposure) {
      case "public":
        return { HTTP_PORT: String(options.port), HTTP_HOST: options.host };
      case "internal":
        return { HTTP_PORT: String(options.internalPorts[workload.role] ?? 0), HTTP_HOST: "127.0.0.1" };
      case "none":
        return {};
      default:
        return assertNever(workload.exposure);
    }
  }

  function toProcess(workload: Workload, nth: number): ProcessSpec {
    const planned = resolveEnv(workload.env);
    // What a person asks of Node comes last: there it wins.
    const nodeOptions = [planned.NODE_OPTIONS, options.baseEnv.NODE_OPTIONS].filter(Boolean).join(" ");
    const env = { ...options.baseEnv, ...planned, ...listenEnv(workload), NODE_OPTIONS: nodeOptions };
    const podHash = createHash("sha256")
      .update(JSON.stringify([workload.podHash, env, options.secretsHash]))
      .digest("hex");
    const name = `${workload.role}-${nth}`;
    return {
      name,
      role: workload.role,
      entry: entryOf(workload.service),
      args: [workload.argument],
      env,
      readyFile: dir.readyFile(name),
      podHash,
    };
  }

  return { toProcess, resolve, entryOf, urlOf };
}
