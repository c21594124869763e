import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";

const root = join(import.meta.dirname, "..", "..");

/** A rendered object; tests read a few fields of many kinds. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

export interface HelmResult {
  readonly code: number | null;
  readonly output: string;
}

/** The real helm, of `HELM` or the PATH. */
export function helm(...args: readonly string[]): HelmResult {
  const { error, status, stderr, stdout } = spawnSync(process.env.HELM ?? "helm", args, {
    cwd: root,
    encoding: "utf8",
  });
  if (error !== undefined)
    throw new Error("these tests need helm: put it on the PATH or name it in HELM", { cause: error });
  return { code: status, output: status === 0 ? stdout : `${stdout}${stderr}` };
}

/** `helm template` of a chart in the namespace `shop`. @throws what helm says */
export function render(chart: string, ...args: readonly string[]): readonly KubeObject[] {
  const { code, output } = helm("template", "shop", `charts/${chart}`, "--namespace", "shop", ...args);
  if (code !== 0) throw new Error(output);
  const documents = parseAllDocuments(output).map((document) => document.toJS() as KubeObject | null);
  return documents.filter((document) => document !== null);
}

export function ofKind(objects: readonly KubeObject[], kind: string): readonly KubeObject[] {
  return objects.filter((object) => object.kind === kind);
}

/** The first of a kind. @throws when there is none */
export function firstOf(objects: readonly KubeObject[], kind: string): KubeObject {
  const [first] = ofKind(objects, kind);
  if (first === undefined) throw new Error(`no ${kind} is rendered`);
  return first;
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly resources?: Readonly<Record<string, unknown>>;
}

export interface PodSpec {
  readonly automountServiceAccountToken?: boolean;
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly containers: readonly Container[];
  readonly volumes?: readonly Readonly<Record<string, unknown>>[];
}

/** The pods that the objects make, with the name of their maker. */
export function podsOf(objects: readonly KubeObject[]): readonly { name: string; pod: PodSpec }[] {
  return objects.flatMap((object): { name: string; pod: PodSpec }[] => {
    const name = `${object.kind} ${object.metadata.name}`;
    if (object.kind === "Pod") return [{ name, pod: object.spec as PodSpec }];
    if (!["Deployment", "StatefulSet", "Job"].includes(object.kind)) return [];
    return [{ name, pod: (object.spec as { template: { spec: PodSpec } }).template.spec }];
  });
}
