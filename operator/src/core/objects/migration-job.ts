import type { EnvValue, ServiceName } from "../plan.ts";
import type { Manifest } from "./manifest.ts";
import { engineLabels, metadataOf, type ObjectContext } from "./naming.ts";
import { makePodSpec } from "./pod.ts";

/** One for each image: its name says which, so that a Job that is done is done for good. */
export function makeMigrationJob(context: ObjectContext, service: ServiceName): Manifest {
  const { name, namespace } = context.resource.metadata;
  const value = (text: string): EnvValue => ({ from: "value", value: text });
  const podSpec = makePodSpec(context, {
    service,
    argument: "migrate",
    env: {
      ENGINE_NAMESPACE: value(namespace),
      ENGINE_NAME: value(name),
      KAFKA_BROKERS: { from: "connection", connection: "kafka" },
      POSTGRES_URL: { from: "connection", connection: "postgres" },
      REDIS_URL: { from: "connection", connection: "redis" },
    },
    extraEnv: [],
    container: {
      resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "256Mi" } },
      // Its last line is what a person has to know when it failed.
      terminationMessagePolicy: "FallbackToLogsOnError",
    },
    pod: { restartPolicy: "Never" },
  });
  const role = `${service}-migrate`;
  // The name is a label of its pods too, so at most 63 characters, of which an engine's may be 40. It has to differ from the former
  // Job's alone: one that is done deletes those before it.
  const hash = context.hash(JSON.stringify([podSpec, context.secretsHash])).slice(0, 6);
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: metadataOf(context, `${name}-${role}-${hash}`, role),
    spec: {
      backoffLimit: 6,
      activeDeadlineSeconds: 900,
      template: {
        metadata: { labels: { ...engineLabels(context), "app.kubernetes.io/component": role } },
        spec: podSpec,
      },
    },
  };
}
