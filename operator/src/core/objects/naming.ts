/** Names, labels and owners of an engine's objects: the same for ever, since a selector cannot change. */
import { apiVersion, kind, type PricingEngine } from "../../api/resource.ts";
import type { ServiceName } from "../plan.ts";
import { type ManifestMetadata, managedBy } from "./manifest.ts";

export interface ObjectContext {
  readonly resource: PricingEngine;
  readonly uid: string;
  /** Of images whose place the resource leaves open. */
  readonly images: { readonly registry: string; readonly tag: string };
  /** Namespace of the operator's own pods, which may reach those of the engine. */
  readonly operatorNamespace: string;
  /** Changes when a Secret that pods read at their start did. */
  readonly secretsHash: string;
  /** Any stable digest: the core has no crypto. */
  hash(text: string): string;
}

export function deploymentName({ resource }: Pick<ObjectContext, "resource">, role: string): string {
  return `${resource.metadata.name}-${role}`;
}

export const managedByLabel = "app.kubernetes.io/managed-by";

/** Of every object of the engine. */
export function engineLabels({ resource }: Pick<ObjectContext, "resource">): Record<string, string> {
  return {
    "app.kubernetes.io/name": "pricing-engine",
    "app.kubernetes.io/instance": resource.metadata.name,
    "app.kubernetes.io/part-of": "pricing-engine",
    [managedByLabel]: managedBy,
  };
}

/** What a Deployment and a Service find the pods of a role by: never changes. */
export function selectorOf({ resource }: Pick<ObjectContext, "resource">, role: string): Record<string, string> {
  return {
    "app.kubernetes.io/name": "pricing-engine",
    "app.kubernetes.io/instance": resource.metadata.name,
    "app.kubernetes.io/component": role,
  };
}

/** Name, labels and owner: an object goes with the resource that it was made for. */
export function metadataOf(
  context: Pick<ObjectContext, "resource" | "uid">,
  name: string,
  role?: string,
): ManifestMetadata {
  const { metadata } = context.resource;
  return {
    name,
    namespace: metadata.namespace,
    labels: { ...engineLabels(context), ...(role === undefined ? {} : { "app.kubernetes.io/component": role }) },
    ownerReferences: [
      { apiVersion, kind, name: metadata.name, uid: context.uid, controller: true, blockOwnerDeletion: true },
    ],
  };
}

export function imageOf({ resource, images }: ObjectContext, service: ServiceName): string {
  const { registry = images.registry, tag = images.tag } = resource.spec.image;
  return `${registry}/${service}:${tag}`;
}
