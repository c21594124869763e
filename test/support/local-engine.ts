import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeLogger } from "@pricing-engine/chassis/log";
import { makeKafka, makeKafkaAdmin, withGroupTopics } from "@pricing-engine/kafka";
import { parseResource } from "@pricing-engine/operator/parse";
import { plan } from "@pricing-engine/operator/plan";
import type { Look, ScaleDecision, ScaleSettings } from "@pricing-engine/operator/scale";
import type { EngineStatus } from "@pricing-engine/operator/status";
import { eventually, infra, makeTestDatabase, makeTestEngine } from "@pricing-engine/testkit";
import { parseDocument, stringify } from "yaml";
import { type EngineClient, makeClient } from "./client.ts";
import { findFreePort } from "./free-port.ts";

/** A look at a role that scales, and what came of it. */
export interface ScalingJournalLine {
  readonly at: string;
  readonly role: string;
  readonly limits: ScaleSettings;
  readonly look: Look;
  readonly decision: ScaleDecision;
}

/** An engine that the operator runs, from a file, as `npm start -- -f` does. */
export interface LocalEngine extends AsyncDisposable {
  readonly prefix: string;
  readonly url: string;
  readonly databaseUrl: string;
  readonly client: EngineClient;
  /** What the operator has said. */
  output(): string;
  /** The operator's own status, at most some two seconds old. */
  status(): Promise<EngineStatus>;
  /** Every decision of the scaling loop on the role, oldest first. */
  decisions(role: string): Promise<readonly ScalingJournalLine[]>;
  /** Pids by role. */
  pids(): Promise<Readonly<Record<string, readonly number[]>>>;
  /** Changes the text of the resource file, as an editor does. */
  edit(change: (text: string) => string): Promise<void>;
}

const main = fileURLToPath(new URL("../../operator/src/main.ts", import.meta.url));
const guard = new URL("../../packages/testkit/src/die-with-parent.mjs", import.meta.url).href;

/** Runs the resource in the text, under a name of its own, on the test run's servers. */
export async function startLocalEngine(
  text: string,
  { env = {} }: { env?: Readonly<Record<string, string>> } = {},
): Promise<LocalEngine> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).toReversed()) await closer();
  };
  try {
    return await wire(text, env, (closer) => closers.push(closer), close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function wire(
  text: string,
  env: Readonly<Record<string, string>>,
  defer: (closer: () => unknown) => void,
  close: () => Promise<void>,
): Promise<LocalEngine> {
  const { namespace, name, prefix } = makeTestEngine();
  const database = await makeTestDatabase();
  defer(() => database.drop());
  const folder = await mkdtemp(join(tmpdir(), "pricing-engine-local-"));
  defer(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "engine.yaml");
  const stateDir = join(folder, "state");
  const receipts = join(folder, "receipts");
  const journal = join(folder, "scaling.ndjson");
  const placed = onServersOfTheRun(text, { namespace, name, databaseUrl: database.url, receipts });
  await writeFile(file, placed);
  defer(() => deleteTopics(placed));

  const port = await findFreePort();
  const args = ["local", "start", "--no-demo", "-f", file, "--state-dir", stateDir, "--port", String(port)];
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, ["--import", guard, main, ...args], {
    env: { PATH, HOME, PE_SCALING_JOURNAL: journal, ...env },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
  }
  defer(() => end(child));
  await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`the operator ended:\n${output}`);
      return output.includes(" is up, ");
    },
    { timeoutMs: 110_000 },
  ).catch((error: unknown) => {
    throw new Error(`not up:\n${output}`, { cause: error });
  });
  const url = `http://127.0.0.1:${port}`;
  const client = makeClient(url);
  defer(() => client.close());
  const status = async () => JSON.parse(await readFile(join(stateDir, "status.json"), "utf8")) as EngineStatus;
  return {
    prefix,
    url,
    databaseUrl: database.url,
    client,
    output: () => output,
    status,
    async decisions(role) {
      const lines = (await readFile(journal, "utf8")).trimEnd().split("\n");
      return lines.map((line) => JSON.parse(line) as ScalingJournalLine).filter((line) => line.role === role);
    },
    async pids() {
      const { workers } = await status();
      return Object.fromEntries(
        workers.map(({ role, processes }) => [role, processes.flatMap(({ pid }) => pid ?? [])]),
      );
    },
    async edit(change) {
      await writeFile(`${file}.new`, change(await readFile(file, "utf8")));
      await rename(`${file}.new`, file);
    },
    [Symbol.asyncDispose]: close,
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 40_000);
  await ended;
  clearTimeout(timer);
}

function onServersOfTheRun(
  text: string,
  place: { namespace: string; name: string; databaseUrl: string; receipts: string },
): string {
  const document = parseDocument(text);
  document.setIn(["metadata", "name"], place.name);
  document.setIn(["metadata", "namespace"], place.namespace);
  const secretRef = (name: string) => document.createNode({ secretRef: { name } });
  document.setIn(
    ["spec", "kafka"],
    document.createNode({ brokers: infra().kafkaBrokers.split(","), topics: { partitions: 4 } }),
  );
  document.setIn(["spec", "postgres"], document.createNode({ primary: { secretRef: { name: "database" } } }));
  document.setIn(["spec", "redis"], secretRef("redis"));
  if (document.hasIn(["spec", "orders"])) document.setIn(["spec", "orders", "receipts", "directory"], place.receipts);
  const secret = (name: string, url: string) =>
    stringify({ apiVersion: "v1", kind: "Secret", metadata: { name }, stringData: { url } });
  return [String(document), secret("database", place.databaseUrl), secret("redis", infra().redisUrl)].join("---\n");
}

async function deleteTopics(text: string): Promise<void> {
  const parsed = parseResource(text);
  if (!parsed.ok) return;
  const logger = makeLogger({ name: "e2e", level: "fatal" });
  const kafka = makeKafka({ brokers: infra().kafkaBrokers.split(","), clientId: "e2e", logger });
  const admin = makeKafkaAdmin({ kafka });
  try {
    const { topics } = plan(parsed.resource, { hash: (each) => each, canSharePort: true });
    await admin.deleteTopics(
      topics.flatMap(({ groups, ...topic }) => withGroupTopics(topic, [...groups])).map((each) => each.topic),
    );
  } finally {
    await admin.close();
  }
}
