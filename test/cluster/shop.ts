/** The way of the README, step by step: the servers, the operator, an engine. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "@pricing-engine/testkit";
import { type Cluster, loadServerImages, type Note } from "./cluster.ts";

export const tag = "dev";
export const registry = "pricing-engine";
const serverImages = ["postgres:15", "redis:7", "apache/kafka:4.1.0", "versity/versitygw:v1.8.0"];

/** The shell blocks of the README's part about Kubernetes, in their order; each a list of commands. */
export function readmeBlocks(): readonly (readonly string[])[] {
  const readme = readFileSync(join(import.meta.dirname, "..", "..", "README.md"), "utf8");
  const part = readme.split(/^## /m).find((text) => text.startsWith("On Kubernetes"));
  if (part === undefined) throw new Error("the README says nothing about Kubernetes");
  return [...part.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = ""]) =>
    block
      .replaceAll(/ \\\n\s*/g, " ")
      .trimEnd()
      .split("\n"),
  );
}

/** One command of the README on this cluster, which has another name and another port. */
export async function runReadmeLine(cluster: Cluster, line: string): Promise<string> {
  const { port } = new URL(cluster.address);
  const adapted = line
    .replace("--kind pricing-engine", `--kind ${cluster.name}`)
    .replaceAll("localhost:9999", `localhost:${port}`)
    .replace("burst.mjs 5000", `burst.mjs 5000 http://localhost:${port}`);
  return cluster.shell(adapted);
}

export async function timed<T>(note: Note, what: string, step: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const result = await step();
  note(what, performance.now() - startedAt);
  return result;
}

/** From the cluster to an engine that is Ready, by the README's first block. */
export async function followReadme(cluster: Cluster, note: Note): Promise<void> {
  const [create, ...lines] = readmeBlocks()[0] ?? [];
  if (create !== "kind create cluster --config kind-config.yaml") throw new Error(`the README begins with ${create}`);
  await timed(note, "server images loaded", () => loadServerImages(cluster, serverImages));
  for (const line of lines) await timed(note, line.slice(0, 70), () => runReadmeLine(cluster, line));
}

/** A namespace in which every pod has to pass the restricted Pod Security Standard. */
export async function makeNamespace(cluster: Cluster, namespace: string): Promise<void> {
  await cluster.apply(`
apiVersion: v1
kind: Namespace
metadata:
  name: ${namespace}
  labels: { pod-security.kubernetes.io/enforce: restricted }
`);
}

export async function installEngine(
  cluster: Cluster,
  options: { namespace: string; name: string; values?: readonly string[] },
  note: Note,
): Promise<void> {
  const { name, namespace, values = [] } = options;
  await timed(note, `helm install ${name} and Ready`, async () => {
    await cluster.helm(
      ...["install", name, "charts/pricing-engine", "--namespace", namespace],
      ...["-f", "charts/pricing-engine/examples/shop.yaml", ...values],
      ...["--set", `spec.image.registry=${registry}`, "--set", `spec.image.tag=${tag}`],
    );
    await cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", `pe/${name}`, "--timeout=5m");
  });
}

export interface EngineObject {
  readonly metadata: { readonly name: string; readonly uid: string; readonly generation: number };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly route?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
      readonly message: string;
    }[];
    readonly workers?: readonly {
      readonly role: string;
      readonly ready: number;
      readonly desired: number;
      readonly lag?: number;
      readonly reason?: string;
    }[];
    readonly partitions?: readonly { readonly table: string; readonly aheadUntil: string; readonly months: number }[];
    readonly processors?: readonly { readonly name: string; readonly state: string }[];
  };
}

export function getEngine(cluster: Cluster, namespace: string, name = "shop"): Promise<EngineObject> {
  return cluster.get<EngineObject>("-n", namespace, `pe/${name}`);
}

/** Waits until the engine's status is as asked for; says the whole status when it is not. */
export async function engineBecomes(
  cluster: Cluster,
  namespace: string,
  what: string,
  isSo: (engine: EngineObject) => boolean,
  options: { readonly name?: string; readonly timeoutMs?: number } = {},
): Promise<EngineObject> {
  let last: EngineObject | undefined;
  try {
    return await eventually(
      async () => {
        last = await getEngine(cluster, namespace, options.name);
        if (!isSo(last)) throw new Error(what);
        return last;
      },
      { timeoutMs: options.timeoutMs ?? 120_000 },
    );
  } catch (error) {
    throw new Error(`not so: ${what}\n${JSON.stringify(last?.status, null, 1)}`, { cause: error });
  }
}

export function isReady({ metadata, status }: EngineObject): boolean {
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  return ready?.status === "True" && status?.observedGeneration === metadata.generation;
}
