/**
 * One engine of the cluster, for as long as this operator leads.
 *
 *   invalid ◀─────────── resource ───────────▶ secrets missing ──(they come)──▶ running
 *   (Stalled; the last good one runs on)        (asked every 5 s)                 │ connections changed
 *                                                     ▲───────────────────────────┘ (opened anew)
 *
 * Closing it stops the operator's work and none of the workloads.
 */
import { createHash } from "node:crypto";
import type { Logger } from "@pricing-engine/chassis/log";
import type { KafkaAdmins } from "../adapters/kafka-admins.ts";
import { formatProblems, parseObject } from "../api/parse.ts";
import type { PricingEngine } from "../api/resource.ts";
import type { Condition, EngineStatus } from "../api/status.ts";
import { deriveConditions, type Problem } from "../core/conditions.ts";
import { findNotImplemented } from "../core/not-implemented.ts";
import type { ObjectContext } from "../core/objects/naming.ts";
import { type PlanContext, plan } from "../core/plan.ts";
import type { Kube } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import { deniedReason } from "../kube/kube-error.ts";
import type { KubeObject } from "../kube/types.ts";
import { readEngineSecrets } from "../runtime/kubernetes/engine-secrets.ts";
import {
  type KubernetesRuntime,
  makeKubernetesRuntime,
  type PresentSecrets,
} from "../runtime/kubernetes/kubernetes-runtime.ts";
import type { ObjectCache } from "../runtime/kubernetes/object-cache.ts";
import { eventsOf } from "./condition-events.ts";
import { type Engine, makeEngine } from "./engine.ts";
import type { EngineMetrics } from "./engine-metrics.ts";
import { makeStatusWriter } from "./status-writer.ts";

export interface EngineSessionDeps {
  readonly kube: Kube;
  readonly cache: ObjectCache;
  readonly admins: KafkaAdmins;
  readonly images: ObjectContext["images"];
  readonly operatorNamespace: string;
  readonly recorder: EventRecorder;
  readonly metrics: EngineMetrics;
  readonly logger: Logger;
}

export interface EngineSession {
  /** Takes the object as the newest. Resolves with when to call again, if nothing happens before. */
  reconcile(object: KubeObject): Promise<{ readonly requeueAfterMs: number }>;
  /** The object as the API server has it now, also when nobody but us changed it. */
  saw(object: KubeObject): void;
  status(): EngineStatus | undefined;
  close(): Promise<void>;
}

type NamedProblem = Problem & { readonly reason: string };

interface Running {
  readonly engine: Engine;
  readonly runtime: KubernetesRuntime;
  /** Of what was connected to; another one needs new connections. */
  readonly connections: string;
}

const secretsEveryMs = 60_000;
const missingSecretsEveryMs = 5_000;
const unjudgedEveryMs = 5_000;
/** A pass looks at everything; what happens in between wakes it. */
const passEveryMs = 2_000;

const planContext: PlanContext = {
  hash: (text) => createHash("sha256").update(text).digest("hex"),
  canSharePort: true,
  internalReplicas: 2,
  deletesData: true,
};

export function makeEngineSession(first: KubeObject, deps: EngineSessionDeps): EngineSession {
  const { admins, cache, images, kube, logger, metrics, operatorNamespace, recorder } = deps;
  const { name, namespace = "default", uid = "" } = first.metadata;
  const engineName = `${namespace}/${name}`;
  let newest = first;
  const writer = makeStatusWriter({
    ...{ kube, namespace, name, logger },
    onDenied: (note) => recorder.record(newest, { type: "Warning", reason: "Forbidden", note }),
  });
  let running: Running | undefined;
  let closed = false;
  let taken = "";
  let judged = "";
  let policyRefusal: string | undefined;
  let latest: EngineStatus | undefined;
  /** Begins with what the leader before said: times of conditions go on, and no Event is repeated. */
  let said = statusOf(first);

  function publish(status: EngineStatus): void {
    for (const event of eventsOf(said, status)) recorder.record(newest, event);
    latest = status;
    said = status;
    metrics.set(engineName, status);
    writer.write(status, newest.metadata.generation ?? 0);
  }

  /** Of an engine of which nothing runs yet. */
  function publishUnstarted(resource: PricingEngine | undefined, problem: NamedProblem): void {
    const waiting = { state: "waiting", ...problem } as const;
    const notImplemented = resource === undefined ? [] : findNotImplemented(resource, planContext);
    publish({
      observedGeneration: newest.metadata.generation ?? 0,
      conditions: deriveConditions(
        {
          topics: waiting,
          schema: waiting,
          partitions: waiting,
          settings: waiting,
          workers: [],
          workloadsApplied: false,
          paused: false,
          notImplemented,
          // Secrets may come by themselves; the rest is a person's to do.
          refusal: problem.reason === "SecretsMissing" ? undefined : problem,
        },
        said?.conditions ?? [],
        new Date().toISOString(),
      ),
      workers: [],
      partitions: [],
      sources: [],
      notImplemented,
    });
  }

  /** What runs has what it needs: it goes on with what it was started with. */
  function refuse(resource: PricingEngine | undefined, problem: NamedProblem): void {
    if (running === undefined) publishUnstarted(resource, problem);
    else running.engine.refuse(problem.reason === "InvalidResource" ? problem.message : problem);
  }

  /** Undefined, and said so, while something is missing. */
  async function readSecrets(resource: PricingEngine): Promise<PresentSecrets | undefined> {
    const own = plan(resource, planContext).paused ? "left-alone" : "ensured";
    try {
      const secrets = await readEngineSecrets(kube, { resource, uid }, own);
      if (secrets.kind === "present") return secrets;
      refuse(resource, { reason: "SecretsMissing", message: secrets.problems.join("; ") });
      return undefined;
    } catch (error) {
      const reason = deniedReason(error);
      if (reason !== undefined) refuse(resource, { reason, message: (error as Error).message });
      throw error;
    }
  }

  async function stop(): Promise<void> {
    const former = running;
    running = undefined;
    taken = "";
    await former?.engine.close();
    await former?.runtime.close();
  }

  function start(resource: PricingEngine, secrets: PresentSecrets, connections: string): Running {
    const runtime = makeKubernetesRuntime({
      kube,
      cache,
      admins,
      resource,
      uid,
      secrets,
      images,
      operatorNamespace,
      logger,
      onRepair: (what) =>
        recorder.record(newest, { type: "Normal", reason: "Repaired", note: `${what} was not as it should be` }),
    });
    const engine = makeEngine(resource, {
      runtime,
      context: planContext,
      logger,
      now: () => new Date(),
      passEveryMs,
      previous: said?.conditions,
      onDecision(role, decision) {
        metrics.decided(engineName, role, decision);
        const { before, desired, message, reason } = decision;
        if (before === desired) return;
        recorder.record(newest, {
          type: "Normal",
          reason,
          note: `${role} ${before} → ${desired}: ${message}`,
          action: "Scale",
        });
      },
      onStatus: publish,
    });
    return { engine, runtime, connections };
  }

  /** Whether pricing takes the policy, once for each. Undefined: nobody could be asked yet. */
  async function judgePolicy({ runtime }: Running, { spec }: PricingEngine): Promise<boolean> {
    const policy = spec.pricing?.policy;
    const text = JSON.stringify(policy);
    if (judged === text) return true;
    if (policy === undefined) {
      policyRefusal = undefined;
      judged = "";
      return true;
    }
    const verdict = await runtime.checkPolicy(policy);
    if (verdict.kind === "unknown") return false;
    judged = text;
    policyRefusal = verdict.kind === "refused" ? verdict.problems.join("; ") : undefined;
    return true;
  }

  return {
    async reconcile(object) {
      newest = object;
      const parsed = parseObject(object);
      if (!parsed.ok) {
        const problems = formatProblems(parsed.problems).replaceAll("\n", "; ");
        refuse(undefined, { reason: "InvalidResource", message: problems });
        return { requeueAfterMs: secretsEveryMs };
      }
      const { resource } = parsed;
      const secrets = await readSecrets(resource);
      if (secrets === undefined) return { requeueAfterMs: missingSecretsEveryMs };
      const connections = JSON.stringify([secrets.kafka, secrets.postgresUrl, secrets.redisUrl]);
      if (running !== undefined && running.connections !== connections) await stop();
      // Leadership may have ended since.
      if (closed) return { requeueAfterMs: secretsEveryMs };
      const wanted = JSON.stringify([resource.spec, resource.metadata.annotations, secrets.hash]);
      if (running === undefined) running = start(resource, secrets, connections);
      else if (taken !== wanted) {
        running.runtime.use(resource, secrets);
        running.engine.apply(resource);
      }
      taken = wanted;
      const isJudged = await judgePolicy(running, resource);
      // Also what was refused before and has come right without another change, such as a Secret that is back.
      running?.engine.refuse(policyRefusal);
      return { requeueAfterMs: isJudged ? secretsEveryMs : unjudgedEveryMs };
    },
    saw: (object) => writer.saw(object),
    status: () => latest,
    async close() {
      closed = true;
      await stop();
      await writer.close();
      metrics.forget(engineName);
    },
  };
}

function statusOf({ status }: KubeObject): Pick<EngineStatus, "conditions" | "processors"> | undefined {
  const { conditions, processors } = (status ?? {}) as Partial<EngineStatus>;
  if (conditions === undefined) return undefined;
  const known = conditions.map(({ type, status: is, reason, message, lastTransitionTime }: Condition) => ({
    type,
    status: is,
    reason,
    message,
    lastTransitionTime,
  }));
  return { conditions: known, ...(processors === undefined ? {} : { processors }) };
}
