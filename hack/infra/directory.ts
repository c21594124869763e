import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { InfraError } from "./exec.ts";
import type { Ports } from "./native/server.ts";
import type { AllEndpoints, ServiceName } from "./types.ts";

export class DamagedStateError extends InfraError {}

export type Mode = "native" | "compose";

/** What a set remembers, so that it comes up again at the same addresses and with the same data. */
export interface SetState {
  readonly ports: Ports;
  readonly password: string;
  readonly mode: Mode;
  /** All that was ever asked for. */
  readonly services: readonly ServiceName[];
  /** False for test sets. */
  readonly durable: boolean;
  /** Whether Postgres has one; absent in older sets, which have. */
  readonly replica?: boolean;
}

export function cacheRoot(): string {
  const base = process.env.XDG_CACHE_HOME;
  return join(base === undefined || base === "" ? join(homedir(), ".cache") : base, "pricing-engine");
}

export function readState(dir: string): SetState | undefined {
  return readWhole<SetState>(join(dir, "state.json"));
}

export function writeState(dir: string, state: SetState): void {
  writeWhole(join(dir, "state.json"), state);
}

export function readEndpoints(dir: string): Partial<AllEndpoints> | undefined {
  return readWhole<Partial<AllEndpoints>>(join(dir, "endpoints.json"));
}

export function writeEndpoints(dir: string, endpoints: Partial<AllEndpoints>): void {
  writeWhole(join(dir, "endpoints.json"), endpoints);
}

export function removeEndpoints(dir: string): void {
  rmSync(join(dir, "endpoints.json"), { force: true });
}

export function removeState(dir: string): void {
  removeEndpoints(dir);
  rmSync(join(dir, "state.json"), { force: true });
}

export function makePassword(): string {
  return randomBytes(12).toString("hex");
}

function writeWhole(path: string, value: unknown): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Only this program writes the file, whole or not at all; a disk that failed or a person may have damaged it since. */
function readWhole<T>(path: string): T | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch (error) {
    throw new DamagedStateError(
      `${path} is damaged: put back what it was, or begin with no data by \`npm run infra -- reset\``,
      { cause: error },
    );
  }
}
