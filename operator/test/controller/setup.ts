/** The operator as a process of its own on a real API server, with an engine's real servers, and its rights as in the chart. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeLogger } from "@pricing-engine/chassis/log";
import { kubeconfigOf, makeApiCaller } from "@pricing-engine/hack/envtest";
import { type GuardedRedis, makeRedis, settingsKey } from "@pricing-engine/redis";
import {
  apiServer,
  eventually,
  infra,
  makeTestDatabase,
  makeTestNamespace,
  type SpawnedService,
  spawnService,
  type TestDatabase,
} from "@pricing-engine/testkit";
import { vi } from "vitest";
import { parse } from "yaml";
import { apiVersion, kind } from "../../src/api/resource.ts";
import type { Condition, EngineStatus } from "../../src/api/status.ts";
import type { Kube } from "../../src/kube/client.ts";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import type { KubeObject, ResourceType } from "../../src/kube/types.ts";
import { makeTestKube } from "../kube/setup.ts";
import { type Nodes, startNodes } from "./nodes.ts";

// A busy machine is no failure: operators are started many times in one test.
vi.setConfig({ testTimeout: 300_000 });
const root = join(import.meta.dirname, "../../..");

/** A rule of RBAC. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

export interface OperatorOptions {
  /** A proxy's, in the path to the API server. */
  readonly url?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Another entry than the sources', such as the bundle of the image. */
  readonly entry?: string;
  /** How it finds the API server; default: a kubeconfig. */
  readonly access?: "kubeconfig" | "service-account";
}

/** A namespace with an operator's rights in it, and with what a cluster does by itself. */
export interface Place {
  readonly namespace: string;
  /** An admin's. */
  readonly kube: Kube;
  readonly nodes: Nodes;
  /** Ready when its first lists are in. Stopped with the place. */
  startOperator(options?: OperatorOptions): Promise<SpawnedService>;
  /** Frees the lease of an operator that was killed: the next one need not wait for its end. */
  freeLease(): Promise<void>;
  /** With tables, as migrations leave them; dropped with the place. */
  makeDatabase(): Promise<TestDatabase>;
  /** What runs when the place is closed and its operators have ended, last in, first out. */
  defer(close: () => Promise<unknown>): void;
  close(): Promise<void>;
}

/** @param rules of the operator; default: all of the chart's */
export async function makePlace(rules: readonly Rule[] = chartRules()): Promise<Place> {
  const namespace = await makeTestNamespace();
  const closers: (() => Promise<unknown>)[] = [];
  const kube = makeTestKube();
  closers.push(() => kube.close());
  await grant(namespace, rules);
  const nodes = await startNodes(kube, namespace);
  closers.push(() => nodes.close());
  const operators: SpawnedService[] = [];
  return {
    namespace,
    kube,
    nodes,
    async startOperator({ access = "kubeconfig", entry = join(root, "operator/src/main.ts"), env = {}, url } = {}) {
      const folder = mkdtempSync(join(tmpdir(), "pricing-engine-operator-"));
      const operator = await spawnService({
        entry,
        args: ["controller"],
        timeoutMs: 120_000,
        env: {
          ...(access === "kubeconfig" ? writeKubeconfig(folder, url) : writeServiceAccount(folder, url)),
          POD_NAME: `operator-${operators.length + 1}`,
          IMAGE_TAG: "test",
          LEASE_NAMESPACE: namespace,
          WATCH_NAMESPACE: namespace,
          HEALTH_PORT: "0",
          ...env,
        },
      });
      operators.push(operator);
      closers.push(async () => rmSync(folder, { recursive: true, force: true }));
      return operator;
    },
    freeLease: () => kube.delete(resourceTypes.leases, "pricing-engine-operator", namespace),
    async makeDatabase() {
      const database = await makeTestDatabase({ template: "engine", migrate: migrateAll });
      closers.push(() => database.drop());
      return database;
    },
    defer: (close) => void closers.push(close),
    async close() {
      // Before what they are connected to.
      await Promise.all(operators.map((operator) => operator.stop()));
      for (const close of closers.splice(0).reverse()) await close();
    },
  };
}

const operatorUser = "operator";

function writeKubeconfig(folder: string, url = apiServer().url): Record<string, string> {
  const KUBECONFIG = join(folder, "kubeconfig");
  writeFileSync(KUBECONFIG, kubeconfigOf(apiServer(), { user: operatorUser, url }));
  return { KUBECONFIG };
}

/** As in a pod. */
function writeServiceAccount(folder: string, url = apiServer().url): Record<string, string> {
  const { caPem, users } = apiServer();
  writeFileSync(join(folder, "token"), users[operatorUser] ?? "");
  writeFileSync(join(folder, "ca.crt"), caPem);
  const { hostname, port } = new URL(url);
  return { SERVICE_ACCOUNT_FOLDER: folder, KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
}

/** What the Jobs would do. */
async function migrateAll(url: string): Promise<void> {
  for (const service of ["pricing", "payment"]) {
    const entry = join(root, `services/${service}/src/main.ts`);
    const env = { PATH: process.env.PATH, POSTGRES_URL: url };
    await promisify(execFile)(process.execPath, [entry, "migrate"], { env, timeout: 60_000 });
  }
}

/** What the chart gives the operator: in the namespaces that it looks after, and for its lease. */
export function chartRules(): readonly Rule[] {
  const read = (file: string) => readFileSync(join(root, "charts/pricing-engine-operator/templates", file), "utf8");
  const [, inNamespaces = ""] = /define "operator\.rules" -\}\}\n(.*?)\{\{- end/s.exec(read("_helpers.tpl")) ?? [];
  const [, forLease = ""] = /-leader\n.*?\nrules:\n(.*?)---/s.exec(read("rbac.yaml")) ?? [];
  const rules = [parse(inNamespaces), parse(forLease)] as (Rule[] | null)[];
  if (!rules.every((some) => some !== null && some.length > 1)) throw new Error("the chart's rules were not found");
  return rules.flatMap((some) => some ?? []);
}

async function grant(namespace: string, rules: readonly Rule[]): Promise<void> {
  const api = makeApiCaller(apiServer());
  const group = "rbac.authorization.k8s.io";
  const metadata = { name: "operator", namespace };
  const base = `/apis/${group}/v1/namespaces/${namespace}`;
  const roleRef = { apiGroup: group, kind: "Role", name: "operator" };
  const subjects = [{ apiGroup: group, kind: "User", name: "operator" }];
  const answers = [
    await api.call("POST", `${base}/roles`, { apiVersion: `${group}/v1`, kind: "Role", metadata, rules }),
    await api.call("POST", `${base}/rolebindings`, {
      ...{ apiVersion: `${group}/v1`, kind: "RoleBinding" },
      metadata,
      roleRef,
      subjects,
    }),
  ];
  api.close();
  for (const { body, status } of answers) if (status !== 201) throw new Error(`no rights: ${body.message}`);
}

export type Spec = Readonly<Record<string, unknown>>;

/** The servers of this run, by the Secrets `<engine>-postgres` and `redis`. */
function serversOf(name: string): Spec {
  return {
    kafka: { brokers: [infra().kafkaBrokers], topics: { partitions: 3, replicationFactor: 1 } },
    postgres: { primary: { secretRef: { name: `${name}-postgres` } } },
    redis: { secretRef: { name: "redis" } },
  };
}

function aSecret({ namespace }: Pick<Place, "namespace">, name: string, values: Record<string, string>): KubeObject {
  return { apiVersion: "v1", kind: "Secret", metadata: { name, namespace }, stringData: values };
}

export async function applySecret(place: Place, name: string, values: Record<string, string>): Promise<void> {
  const { kube, namespace } = place;
  const found = await kube.find(resourceTypes.secrets, name, namespace);
  if (found === undefined) await kube.create(resourceTypes.secrets, aSecret(place, name, values));
  else await kube.mergePatch(resourceTypes.secrets, name, namespace, { data: null, stringData: values });
}

/** Makes the Secrets of an engine: `<engine>-postgres`, of a database of its own, and `redis`, which all share. */
export async function makeSecrets(place: Place, name = "shop"): Promise<TestDatabase> {
  const database = await place.makeDatabase();
  await applySecret(place, `${name}-postgres`, { url: database.url });
  await applySecret(place, "redis", { url: infra().redisUrl });
  return database;
}

export async function createEngine(place: Place, spec: Spec, name = "shop"): Promise<KubeObject> {
  const { kube, namespace } = place;
  const metadata = { name, namespace };
  return await kube.create(resourceTypes.pricingEngines, {
    ...{ apiVersion, kind },
    metadata,
    spec: { ...serversOf(name), ...spec },
  });
}

export async function patchEngine({ kube, namespace }: Place, patch: object, name = "shop"): Promise<KubeObject> {
  return await kube.mergePatch(resourceTypes.pricingEngines, name, namespace, patch);
}

/** The engine as the API server has it. */
export interface SeenEngine {
  readonly object: KubeObject;
  readonly status: Partial<EngineStatus>;
  condition(type: string): Condition | undefined;
}

export async function seeEngine({ kube, namespace }: Place, name = "shop"): Promise<SeenEngine> {
  const object = await kube.find(resourceTypes.pricingEngines, name, namespace);
  if (object === undefined) throw new Error(`there is no engine ${name}`);
  const status = (object.status ?? {}) as Partial<EngineStatus>;
  return { object, status, condition: (type) => status.conditions?.find((one) => one.type === type) };
}

/** Waits for it; says the whole status when it does not come. */
export async function engineBecomes(
  place: Place,
  isSo: (engine: SeenEngine) => boolean,
  { name = "shop", timeoutMs = 60_000 }: { readonly name?: string; readonly timeoutMs?: number } = {},
): Promise<SeenEngine> {
  return await eventually(
    async () => {
      const engine = await seeEngine(place, name);
      if (!isSo(engine)) throw new Error(`${isSo.toString()} of ${JSON.stringify(engine.status, undefined, 1)}`);
      return engine;
    },
    { timeoutMs },
  );
}

export const isReady = ({ condition, object, status }: SeenEngine): boolean =>
  condition("Ready")?.status === "True" && status.observedGeneration === object.metadata.generation;

export async function eventsOf({ kube, namespace }: Place, reason: string): Promise<readonly KubeObject[]> {
  const { items } = await kube.list(resourceTypes.events, { namespace });
  return items.filter((event) => event.reason === reason);
}

export async function getObject({ kube, namespace }: Place, type: ResourceType, name: string): Promise<KubeObject> {
  const found = await kube.find(type, name, namespace);
  if (found === undefined) throw new Error(`${type.kind} ${name} is not there`);
  return found;
}

/** Closed with the place. */
export function openRedis(place: Place): GuardedRedis {
  const redis = makeRedis({ url: infra().redisUrl, logger: makeLogger({ name: "test", level: "fatal" }) });
  place.defer(() => redis.close());
  return redis;
}

interface LiveSettings {
  readonly epoch: number;
  readonly revision: number;
  readonly settings: { readonly pricing: { readonly cacheTtlMs: number } };
}

/** The text of the ConfigMap of live settings. */
export async function settingsInMap(place: Place, name = "shop"): Promise<string> {
  const { data } = await getObject(place, resourceTypes.configMaps, `${name}-settings`);
  return (data as { "settings.json": string })["settings.json"];
}

export const parseSettings = (text: string): LiveSettings => JSON.parse(text) as LiveSettings;

export async function settingsInRedis(place: Place, redis: GuardedRedis, name = "shop"): Promise<string | null> {
  return await redis.guarded((client) => client.get(settingsKey(`${place.namespace}.${name}.`)));
}

/** What is put right needs a change that is seen, a cache that has forgotten our own last write, and a pass. */
export const repairedWithin = { timeoutMs: 15_000 };
