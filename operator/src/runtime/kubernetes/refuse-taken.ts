import { managedBy } from "../../core/objects/manifest.ts";
import { managedByLabel } from "../../core/objects/naming.ts";
import { NameTakenError } from "../../kube/kube-error.ts";
import type { KubeObject } from "../../kube/types.ts";

/**
 * Before an object is made: a write would take over what somebody else has by that name, and with the engine it would be deleted.
 *
 * @param found what is there by that name. What has our owner or our label is ours, also when a person took away the other.
 * @throws NameTakenError
 */
export function refuseTaken(
  { kind, metadata }: Pick<KubeObject, "kind" | "metadata">,
  found: KubeObject | undefined,
): void {
  if (found === undefined || found.metadata.labels?.[managedByLabel] === managedBy) return;
  const owners = new Set(found.metadata.ownerReferences?.map(({ uid }) => uid));
  if (metadata.ownerReferences?.some(({ uid }) => owners.has(uid))) return;
  throw new NameTakenError(
    `there is a ${kind} ${metadata.name} that is not this engine's: delete or rename it, or give the engine another name`,
  );
}
