/** What Deployments and Jobs have in common: a pod that passes the restricted Pod Security Standard. */
import { assertNever } from "@pricing-engine/chassis/errors";
import type { EnvValue, MountedFile, ServiceName } from "../plan.ts";
import { ports } from "./manifest.ts";
import { deploymentName, imageOf, type ObjectContext } from "./naming.ts";

interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef: { readonly name: string; readonly key: string } };
}

interface MountedSource {
  readonly folder: string;
  readonly key: string;
  readonly volume: object;
}

const mountRoot = "/etc/pricing-engine";
// Read by the owner and its group: the pod's fsGroup.
const readOnlyMode = 0o440;

export const settingsName = (engine: string): string => `${engine}-settings`;
export const signingName = (engine: string): string => `${engine}-signing`;
export const sourceTokensName = (engine: string): string => `${engine}-source-tokens`;
/** The Secret with the gateway's first admin key: the resource's, or one that the operator makes. */
export function adminKeyName({ resource: { metadata, spec } }: Pick<ObjectContext, "resource">): string {
  return spec.gateway?.adminKeySecretRef?.name ?? `${metadata.name}-admin-key`;
}

function mountedSource(context: ObjectContext, file: MountedFile): MountedSource | undefined {
  const { name } = context.resource.metadata;
  const secret = (secretName: string, key: string): MountedSource => ({
    folder: `${mountRoot}/${file}`,
    key,
    volume: { name: file, secret: { secretName, defaultMode: readOnlyMode } },
  });
  switch (file) {
    case "settings":
      return {
        folder: `${mountRoot}/${file}`,
        key: "settings.json",
        volume: { name: file, configMap: { name: settingsName(name), defaultMode: readOnlyMode } },
      };
    case "signing-keys":
      return secret(signingName(name), "keys.json");
    case "admin-key":
      return secret(adminKeyName(context), "token");
    case "source-tokens":
      return secret(sourceTokensName(name), "tokens.json");
    case "processor-default":
    case "processor-fallback":
      // Simulated processors run in the local runtime alone.
      return undefined;
    default:
      return assertNever(file);
  }
}

function envVar(context: ObjectContext, name: string, value: EnvValue): EnvVar | undefined {
  const { spec } = context.resource;
  const fromSecret = (secret: string | undefined, key: string): EnvVar | undefined =>
    secret === undefined ? undefined : { name, valueFrom: { secretKeyRef: { name: secret, key } } };
  switch (value.from) {
    case "value":
      return { name, value: value.value };
    case "connection":
      if (value.connection === "kafka") return { name, value: spec.kafka?.brokers.join(",") ?? "" };
      return fromSecret(
        value.connection === "postgres" ? spec.postgres?.primary.secretRef.name : spec.redis?.secretRef.name,
        "url",
      );
    case "replica":
      return fromSecret(spec.postgres?.replica?.secretRef.name, "url");
    case "file": {
      const source = mountedSource(context, value.file);
      return source && { name, value: `${source.folder}/${source.key}` };
    }
    case "secret":
      return fromSecret(value.secret, value.key);
    case "receipts":
      // The API server asks for a store (decision 0051): nothing is left open here.
      return undefined;
    case "workload":
      return { name, value: `http://${deploymentName(context, value.role)}:${ports.http}` };
    default:
      return assertNever(value);
  }
}

export function envOf(context: ObjectContext, env: Readonly<Record<string, EnvValue>>): readonly EnvVar[] {
  return Object.entries(env).flatMap(([name, value]) => envVar(context, name, value) ?? []);
}

/** The files that the variables name, as volumes and where they are mounted. */
function mountsOf(context: ObjectContext, env: Readonly<Record<string, EnvValue>>) {
  const sources = Object.values(env).flatMap((value) => {
    const source = value.from === "file" ? mountedSource(context, value.file) : undefined;
    return source === undefined || value.from !== "file" ? [] : [{ name: value.file, ...source }];
  });
  return {
    volumes: sources.map(({ volume }) => volume),
    volumeMounts: sources.map(({ name, folder }) => ({ name, mountPath: folder, readOnly: true })),
  };
}

export interface PodOptions {
  readonly service: ServiceName;
  readonly argument: string;
  readonly env: Readonly<Record<string, EnvValue>>;
  readonly extraEnv: readonly EnvVar[];
  /** Of the container: probes, ports, resources. */
  readonly container: object;
  /** Of the pod: grace period, spread, restart policy. */
  readonly pod: object;
}

export function makePodSpec(context: ObjectContext, options: PodOptions): object {
  const { image } = context.resource.spec;
  const { volumes, volumeMounts } = mountsOf(context, options.env);
  return {
    serviceAccountName: context.resource.metadata.name,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(image.pullSecrets.length === 0 ? {} : { imagePullSecrets: image.pullSecrets.map(({ name }) => ({ name })) }),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65_532,
      runAsGroup: 65_532,
      fsGroup: 65_532,
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [
      {
        name: options.service,
        image: imageOf(context, options.service),
        imagePullPolicy: image.pullPolicy,
        args: [options.argument],
        // Which service it is: for an image that holds several, as the one of skaffold does.
        env: [{ name: "ENGINE_SERVICE", value: options.service }, ...envOf(context, options.env), ...options.extraEnv],
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
        volumeMounts: [...volumeMounts, { name: "tmp", mountPath: "/tmp" }],
        ...options.container,
      },
    ],
    volumes: [...volumes, { name: "tmp", emptyDir: { sizeLimit: "64Mi" } }],
    ...options.pod,
  };
}
