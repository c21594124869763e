/** The way of docs/guide/kubernetes.md, step by step: the servers, the operator, an engine. */
import { eventually } from "@pricing-engine/testkit";
import { type Cluster, loadServerImages, type Note, run } from "./cluster.ts";

export const tag = "test";
export const registry = "pricing-engine";
const serverImages = ["postgres:15", "redis:7", "apache/kafka:4.1.0", "versity/versitygw:v1.8.0"];

export async function timed<T>(note: Note, what: string, step: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const result = await step();
  note(what, performance.now() - startedAt);
  return result;
}

export async function loadImages(cluster: Cluster, note: Note): Promise<void> {
  await timed(note, "images built and loaded", () =>
    run(process.execPath, ["hack/images/main.ts", "--tag", tag, "--registry", registry, "--kind", cluster.name]),
  );
  await timed(note, "server images loaded", () => loadServerImages(cluster, serverImages));
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

export async function installServers(cluster: Cluster, namespace: string, note: Note): Promise<void> {
  await timed(note, `helm install dev-infra (${namespace})`, () =>
    cluster.helm(
      ...["install", "infra", "charts/dev-infra", "--namespace", namespace, "--wait", "--timeout", "5m"],
      ...["--set", `processors.image=${registry}/processor:${tag}`],
    ),
  );
}

export async function installOperator(cluster: Cluster, note: Note): Promise<void> {
  await makeNamespace(cluster, "pricing-engine-system");
  await timed(note, "helm install operator", () =>
    cluster.helm(
      ...["install", "operator", "charts/pricing-engine-operator", "--namespace", "pricing-engine-system"],
      ...["--wait", "--timeout", "3m", "--set", `image.registry=${registry}`, "--set", `image.tag=${tag}`],
    ),
  );
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
