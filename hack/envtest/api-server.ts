import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isFree, makePortPicker } from "../infra/ports.ts";
import { waitUntil } from "../infra/progress.ts";
import type { Log } from "../infra/types.ts";
import { makeApiCaller } from "./api-caller.ts";

/** How to speak with it; plain data, so that it passes from one process to another. */
export interface ApiServerAccess {
  readonly url: string;
  /** A member of `system:masters`. */
  readonly token: string;
  /** Names that have no rights until some are bound to them, with their tokens. */
  readonly users: Readonly<Record<string, string>>;
  readonly caPem: string;
  /** Its own, for a proxy that stands in its place. */
  readonly certificatePem: string;
  readonly keyPem: string;
  /** To compact it, as the API server does every few minutes: what is older is then expired. */
  readonly etcdUrl: string;
}

/** A real kube-apiserver on a real etcd, without controllers or nodes: enough to admit, store and watch resources. */
export interface ApiServer {
  readonly access: ApiServerAccess;
  stop(): Promise<void>;
}

export interface ApiServerOptions {
  /** The folder with both programs, see `findAssets`. */
  readonly assets: string;
  readonly users?: readonly string[];
  readonly log: Log;
}

export async function startApiServer({ assets, users = [], log }: ApiServerOptions): Promise<ApiServer> {
  const folder = mkdtempSync(join(tmpdir(), "pricing-engine-api-server-"));
  const path = (name: string): string => join(folder, name);
  const pick = makePortPicker();
  const [client, peer, port] = [await pick(), await pick(), await pick()];
  const token = randomUUID();
  const tokens = Object.fromEntries(users.map((user) => [user, randomUUID()]));
  writeInputs(folder, token, tokens);

  const children: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(end));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    children.push(
      start(join(assets, "etcd"), path("etcd.log"), [
        `--data-dir=${path("etcd")}`,
        `--listen-client-urls=http://127.0.0.1:${client}`,
        `--advertise-client-urls=http://127.0.0.1:${client}`,
        `--listen-peer-urls=http://127.0.0.1:${peer}`,
        "--unsafe-no-fsync",
      ]),
      start(join(assets, "kube-apiserver"), path("kube-apiserver.log"), [
        `--etcd-servers=http://127.0.0.1:${client}`,
        `--secure-port=${port}`,
        "--bind-address=127.0.0.1",
        `--cert-dir=${path("certificates")}`,
        "--service-account-issuer=https://localhost",
        `--service-account-key-file=${path("sa.pub")}`,
        `--service-account-signing-key-file=${path("sa.key")}`,
        "--service-cluster-ip-range=10.0.0.0/24",
        `--token-auth-file=${path("tokens.csv")}`,
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        // Read from etcd itself, so that a compaction shows at once.
        "--watch-cache-sizes=podtemplates#0",
      ]),
    );
    const certificate = path("certificates/apiserver.crt");
    await waitUntil(async () => existsSync(certificate) && !(await isFree(port)), {
      what: `kube-apiserver to listen on port ${port}`,
      timeoutMs: 180_000,
      log,
      findFailure: async () => failureOf(children, folder),
    });
    // It signs its certificate itself, for this run; the file has the authority's too.
    const certificatePem = readFileSync(certificate, "utf8");
    const keyPem = readFileSync(path("certificates/apiserver.key"), "utf8");
    const url = `https://127.0.0.1:${port}`;
    const etcdUrl = `http://127.0.0.1:${client}`;
    const access = { url, token, users: tokens, caPem: certificatePem, certificatePem, keyPem, etcdUrl };
    const { call, close } = makeApiCaller(access);
    await waitUntil(async () => (await call("GET", "/readyz").catch(() => undefined))?.status === 200, {
      what: "kube-apiserver to be ready",
      timeoutMs: 180_000,
      log,
      findFailure: async () => failureOf(children, folder),
    }).finally(close);
    return { access, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function writeInputs(folder: string, token: string, users: Readonly<Record<string, string>>): void {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  writeFileSync(join(folder, "sa.key"), privateKey);
  writeFileSync(join(folder, "sa.pub"), publicKey);
  const lines = Object.entries(users).map(([user, secret]) => `${secret},${user},${user}`);
  writeFileSync(join(folder, "tokens.csv"), [`${token},admin,admin,system:masters`, ...lines, ""].join("\n"));
  mkdirSync(join(folder, "etcd"), { mode: 0o700 });
}

/** Kills the program when its stdin closes, also when we are gone and cannot. */
const guarded =
  'exec 3<&0; "$@" </dev/null 3<&- & child=$!; (cat <&3; kill -KILL $child) >/dev/null 2>&1 & wait $child';

function start(program: string, logFile: string, args: readonly string[]): ChildProcess {
  const output = openSync(logFile, "w");
  const child = spawn("sh", ["-c", guarded, "sh", program, ...args], { stdio: ["pipe", output, output] });
  closeSync(output);
  child.stdin?.on("error", () => undefined);
  child.once("exit", () => child.stdin?.end());
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.stdin?.end();
  await ended;
}

function failureOf(children: readonly ChildProcess[], folder: string): string | undefined {
  const names = ["etcd", "kube-apiserver"];
  const index = children.findIndex(({ exitCode }) => exitCode !== null);
  const name = names[index];
  if (name === undefined) return undefined;
  const tail = readFileSync(join(folder, `${name}.log`), "utf8")
    .trim()
    .split("\n")
    .slice(-12)
    .join("\n  ");
  return `${name} ended with ${children[index]?.exitCode}:\n  ${tail}`;
}
