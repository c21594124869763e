import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "@pricing-engine/testkit";
import { Agent, fetch } from "undici";
import { findFreePort } from "../support/free-port.ts";

export interface ApiAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>> & { readonly message?: string };
}

/** A real kube-apiserver on a real etcd, without nodes: enough to admit and store resources. */
export interface ApiServer {
  call(method: string, path: string, body?: unknown): Promise<ApiAnswer>;
  /** What `kubectl get` shows of a list. */
  table(path: string): Promise<{ columns: readonly string[]; rows: readonly (readonly unknown[])[] }>;
  stop(): Promise<void>;
}

/** The programs come from `KUBEBUILDER_ASSETS`, as with controller-runtime's envtest. */
export async function startApiServer(assets: string): Promise<ApiServer> {
  const folder = mkdtempSync(join(tmpdir(), "pricing-engine-api-server-"));
  const token = randomUUID();
  const [client, peer, port] = [await findFreePort(), await findFreePort(), await findFreePort()];
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  const path = (name: string): string => join(folder, name);
  writeFileSync(path("sa.key"), privateKey);
  writeFileSync(path("sa.pub"), publicKey);
  writeFileSync(path("tokens.csv"), `${token},admin,admin,system:masters\n`);
  mkdirSync(path("etcd"), { mode: 0o700 });

  const children: ChildProcess[] = [];
  const start = (program: string, args: readonly string[]): void => {
    children.push(spawn(join(assets, program), args, { stdio: "ignore" }));
  };
  start("etcd", [
    `--data-dir=${path("etcd")}`,
    `--listen-client-urls=http://127.0.0.1:${client}`,
    `--advertise-client-urls=http://127.0.0.1:${client}`,
    `--listen-peer-urls=http://127.0.0.1:${peer}`,
    "--unsafe-no-fsync",
  ]);
  start("kube-apiserver", [
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
  ]);

  // It signs its certificate itself, for this run.
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  const call = async (
    method: string,
    target: string,
    body?: unknown,
    accept = "application/json",
  ): Promise<ApiAnswer> => {
    const response = await fetch(`https://127.0.0.1:${port}${target}`, {
      method,
      dispatcher,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", accept },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : { message: text } };
  };
  const table: ApiServer["table"] = async (target) => {
    const { body } = await call("GET", target, undefined, "application/json;as=Table;v=v1;g=meta.k8s.io");
    const { columnDefinitions, rows } = body as unknown as {
      columnDefinitions: readonly { name: string }[];
      rows: readonly { cells: readonly unknown[] }[];
    };
    return { columns: columnDefinitions.map(({ name }) => name), rows: rows.map(({ cells }) => cells) };
  };
  const stop = async (): Promise<void> => {
    await dispatcher.destroy();
    for (const child of children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await eventually(
      async () => {
        const { status } = await call("GET", "/readyz");
        if (status !== 200) throw new Error(`readyz answers ${status}`);
      },
      { timeoutMs: 120_000 },
    );
    return { call, table, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
