import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { eventually } from "@pricing-engine/testkit";
import { findFreePort } from "../support/free-port.ts";

const root = join(import.meta.dirname, "..", "..");

export interface Cluster {
  readonly name: string;
  /** Of the machine: kind-config.yaml maps the gateway's NodePort there. */
  readonly address: string;
  kubectl(...args: readonly string[]): Promise<string>;
  helm(...args: readonly string[]): Promise<string>;
  apply(manifest: string): Promise<string>;
  /** As JSON. */
  get<T>(...args: readonly string[]): Promise<T>;
  /** Forwards a local port to a Service; resolves with its address. */
  forward(namespace: string, target: string, port: number): Promise<{ readonly address: string; close(): void }>;
  /** As a user at a terminal would, at the root of the sources. */
  shell(command: string): Promise<string>;
  docker(...args: readonly string[]): Promise<string>;
  delete(): Promise<void>;
}

export type Note = (what: string, ms: number) => void;

/** Runs a program; rejects with everything it said when it fails. */
export async function run(program: string, args: readonly string[], options: { env?: object; input?: string } = {}) {
  const child = spawn(program, args, {
    cwd: root,
    env: { ...process.env, ...options.env },
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  child.stdin?.end(options.input);
  const { stderr, stdout } = child;
  if (stdout === null || stderr === null) throw new Error(`${program} has no output`);
  const [out, err, [code]] = await Promise.all([
    text(stdout),
    text(stderr),
    once(child, "close") as Promise<[number | null]>,
  ]);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}:\n${out}${err}`);
  return out;
}

/** A kind cluster of its own, of kind-config.yaml but for its name and the port on this machine. */
export async function startCluster(note: Note): Promise<Cluster> {
  const name = `pe-${randomBytes(4).toString("hex")}`;
  const port = await findFreePort();
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  const kubeconfig = join(folder, "kubeconfig");
  const config = join(folder, "kind.yaml");
  writeFileSync(
    config,
    readFileSync(join(root, "kind-config.yaml"), "utf8")
      .replace("hostPort: 9999", `hostPort: ${port}`)
      .replace(/^name: .*$/m, `name: ${name}`),
  );
  const env = { KUBECONFIG: kubeconfig };
  const forwards = new Set<ChildProcess>();
  // Where the images are made on the machine, their names have no registry to be pulled from.
  const image = process.env.KIND_NODE_IMAGE;
  const startedAt = performance.now();
  await run("kind", [
    ...["create", "cluster", "--config", config, "--kubeconfig", kubeconfig, "--wait", "180s"],
    ...(image === undefined ? [] : ["--image", image]),
  ]);
  note("kind create cluster", performance.now() - startedAt);
  const kubectl: Cluster["kubectl"] = (...args) => run("kubectl", args, { env });
  return {
    name,
    address: `http://127.0.0.1:${port}`,
    kubectl,
    helm: (...args) => run("helm", args, { env }),
    apply: (manifest) => run("kubectl", ["apply", "-f", "-"], { env, input: manifest }),
    get: async (...args) => JSON.parse(await kubectl("get", ...args, "-o", "json")),
    shell: (command) => run("bash", ["-euo", "pipefail", "-c", command], { env }),
    docker: (...args) => run("docker", args),
    async forward(namespace, target, targetPort) {
      const child = spawn("kubectl", ["-n", namespace, "port-forward", target, `:${targetPort}`], {
        env: { ...process.env, ...env },
        stdio: ["ignore", "pipe", "inherit"],
      });
      forwards.add(child);
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      child.once("exit", (code) => reject(new Error(`port-forward of ${target} ended with ${code}`)));
      child.stdout?.on("data", (chunk: Buffer) => {
        const found = /127\.0\.0\.1:(\d+)/.exec(chunk.toString());
        if (found !== null) resolve(`http://127.0.0.1:${found[1]}`);
      });
      return { address: await promise, close: () => void child.kill() };
    },
    async delete() {
      for (const child of forwards) child.kill();
      await run("kind", ["delete", "cluster", "--name", name, "--kubeconfig", kubeconfig]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Images of servers that the machine has are put into the nodes; what it has not, the nodes pull. */
export async function loadServerImages(cluster: Cluster, images: readonly string[]): Promise<void> {
  for (const image of images) {
    const isHere = await run("docker", ["image", "inspect", image]).then(
      () => true,
      () => false,
    );
    if (isHere) await run("kind", ["load", "docker-image", "--name", cluster.name, image]);
  }
}

interface NodePods {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status: {
      readonly containerStatuses?: readonly {
        readonly ready: boolean;
        readonly state: { readonly running?: { readonly startedAt: string } };
      }[];
    };
  }[];
}

/** Resolves when the node's own pods run anew: until then its status is that of before, and Services lead nowhere from there. */
export async function restartNode(cluster: Cluster, node: string): Promise<void> {
  // The API server tells whole seconds.
  const restartedAtMs = Math.floor(Date.now() / 1000) * 1000;
  await cluster.docker("restart", node);
  await eventually(
    async () => {
      const where = ["-n", "kube-system", "pods", "--field-selector", `spec.nodeName=${node}`];
      const { items } = await cluster.get<NodePods>(...where);
      const waiting = items.filter(({ status: { containerStatuses = [] } }) => {
        const runsAnew = containerStatuses.every(
          ({ ready, state }) => ready && Date.parse(state.running?.startedAt ?? "") >= restartedAtMs,
        );
        return containerStatuses.length === 0 || !runsAnew;
      });
      if (items.length === 0 || waiting.length > 0) {
        throw new Error(`on ${node} not yet: ${waiting.map(({ metadata }) => metadata.name).join(", ")}`);
      }
    },
    { timeoutMs: 180_000 },
  );
}
