/** A Kubernetes object as it is sent to the API server. */
export type Manifest = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ManifestMetadata;
  readonly [field: string]: unknown;
};

/** A type, not an interface: only so it is assignable to what has any further field. */
export type ManifestMetadata = {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
};

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller: boolean;
  readonly blockOwnerDeletion: boolean;
}

export const managedBy = "pricing-engine-operator";
/** On pods: of everything that they are started with. */
export const podHashAnnotation = "pricing-engine.dev/pod-hash";

export const ports = { gateway: 9999, http: 8080, metrics: 9090 } as const;
