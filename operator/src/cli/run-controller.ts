/** `main.ts controller`: the operator in a cluster. The whole graph, wired by hand. */
import { randomUUID } from "node:crypto";
import { type Lifecycle, type ReadyInfo, releaseMemoryOften } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { startMetricsServer } from "@pricing-engine/chassis/metrics";
import { startTelemetry } from "@pricing-engine/chassis/telemetry";
import { makeKafkaAdmins } from "../adapters/kafka-admins.ts";
import type { ControllerConfig } from "../config.ts";
import { makeController } from "../controllers/controller.ts";
import { makeEngineMetrics } from "../controllers/engine-metrics.ts";
import { loadKubeAccess } from "../kube/access.ts";
import { makeKube } from "../kube/client.ts";
import { makeEventRecorder } from "../kube/events.ts";
import { makeFencedKube } from "../kube/fenced.ts";
import { type Lease, makeLease } from "../kube/lease.ts";
import { makeObjectCache } from "../runtime/kubernetes/object-cache.ts";

/** Engines that come by the dozen leave garbage that V8 would keep, since something always goes on; nobody waits for 0.1 s of this process. */
const release = { everyMs: 30_000, grownBytes: 16 * 1024 * 1024 };

export async function runController(
  config: ControllerConfig,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<ReadyInfo> {
  const { health } = lifecycle;
  await startTelemetry({
    serviceName: "pricing-engine-operator",
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
    sampleRatio: config.TRACE_SAMPLE_RATIO,
    lifecycle,
  });
  const kube = makeKube({ config: await loadKubeAccess(process.env) });
  lifecycle.defer("kube", () => kube.close());

  // Both ports answer the same: one is for probes, one for Prometheus and people.
  const shared = { host: config.HTTP_HOST, health, lifecycle, pages: { "/debug/engines": () => controller.engines() } };
  await startMetricsServer({ ...shared, port: config.HEALTH_PORT });
  const { port: metricsPort } = await startMetricsServer({ ...shared, port: config.METRICS_PORT });

  let lease: Lease | undefined;
  const isLeader = (): boolean => lease?.isLeader() === true;
  const fenced = makeFencedKube(kube, isLeader);
  const recorder = makeEventRecorder({
    kube,
    component: "pricing-engine.dev/operator",
    instance: config.POD_NAME,
    logger,
  });
  lifecycle.defer("events", () => recorder.close());
  const stopReleasing = releaseMemoryOften(release);
  lifecycle.defer("memory", async () => stopReleasing());
  const namespace = config.WATCH_NAMESPACE;
  const cache = makeObjectCache({ kube, namespace, logger });
  lifecycle.defer("cache", () => cache.close());
  const controller = makeController({
    kube,
    fenced,
    cache,
    admins: makeKafkaAdmins(logger),
    namespace,
    images: { registry: config.IMAGE_REGISTRY, tag: config.IMAGE_TAG },
    operatorNamespace: config.LEASE_NAMESPACE,
    recorder,
    metrics: makeEngineMetrics(),
    logger,
    isLeader,
  });
  let isSynced = false;
  health.register("watch", () => (isSynced ? { ok: true } : { ok: false, reason: "the first list is not in" }));
  health.register(
    "watch age",
    () => {
      const ageMs = controller.lastEventAgeMs();
      if (ageMs < config.MAX_WATCH_AGE_MS) return { ok: true };
      return { ok: false, reason: `nothing was heard of the API server for ${Math.round(ageMs / 1000)} s` };
    },
    "liveness",
  );
  await Promise.all([controller.synced(), cache.synced()]);
  isSynced = true;

  lease = makeLease({
    kube,
    namespace: config.LEASE_NAMESPACE,
    name: config.LEASE_NAME,
    identity: `${config.POD_NAME}_${randomUUID()}`,
    onAcquired(epoch) {
      logger.info({ epoch }, "leading");
      controller.lead();
    },
    onLost() {
      logger.warn({}, "not leading");
      controller.follow();
    },
    logger,
  });
  const held = lease;
  // Last in, first out: what leads stops before the lease is given up.
  lifecycle.defer("lease", () => held.close());
  lifecycle.defer("controller", () => controller.close());
  return { metricsPort };
}
