/**
 * Which fields of an object are ours, as the API server keeps the books of server-side apply. Whoever changes or takes away one of
 * them becomes its owner, and what others add is none of them: so an object has drifted when the list is another one.
 */
import { createHash } from "node:crypto";
import type { KubeObject, ManagedFields } from "./types.ts";

/** Owns, in server-side apply, the fields that we set; it never changes, or old fields would stay behind. */
export const fieldManager = "pricing-engine-operator";

/** A digest of the fields that our last apply set and that nobody has touched since; undefined: none is ours. */
export function ownedFieldsOf({ metadata }: KubeObject): string | undefined {
  if (metadata.managedFields === undefined) return metadata.ownedFields;
  const own = metadata.managedFields.find(isOurs);
  return own && createHash("sha256").update(JSON.stringify(own.fieldsV1)).digest("base64");
}

function isOurs({ manager, operation, subresource = "" }: ManagedFields): boolean {
  return manager === fieldManager && operation === "Apply" && subresource === "";
}

/** The books are often half of an object: what is kept of them is our page, as a digest. */
export function withoutManagedFields(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  const ownedFields = ownedFieldsOf(object);
  const { name } = object.metadata;
  return { ...object, metadata: { ...metadata, name, ...(ownedFields === undefined ? {} : { ownedFields }) } };
}
