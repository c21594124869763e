/**
 * Which fields of an object are ours, and what is in them, as the API server keeps the books of server-side apply. Whoever changes
 * or takes away one of them becomes its owner, unless it goes by our name (a former leader's last words); what others add is
 * none of them. So an object has drifted when the fields that are ours, or their values, are others.
 */
import { createHash } from "node:crypto";
import type { KubeObject, ManagedFields } from "./types.ts";

/** Owns, in server-side apply, the fields that we set; it never changes, or old fields would stay behind. */
export const fieldManager = "pricing-engine-operator";

/** A digest of the fields that our last apply set, and nobody has touched since, with their values; undefined: none is ours. */
export function ownedFieldsOf(object: KubeObject): string | undefined {
  const { managedFields, ownedFields } = object.metadata;
  if (managedFields === undefined) return ownedFields;
  const fields = managedFields.find(isOurs)?.fieldsV1;
  if (fields === undefined) return undefined;
  return createHash("sha256")
    .update(JSON.stringify([fields, valuesOf(object, fields)]))
    .digest("base64");
}

function isOurs({ manager, operation, subresource = "" }: ManagedFields): boolean {
  return manager === fieldManager && operation === "Apply" && subresource === "";
}

/** `f:name` is a field, `k:{…}` the item of a list with these values, `.` the thing itself; one without any is a value. */
function valuesOf(value: unknown, fields: object): unknown {
  const steps = Object.entries(fields).filter(([step]) => step !== ".");
  if (steps.length === 0) return value;
  return steps.map(([step, within]) => valuesOf(follow(value, step), within as object));
}

function follow(value: unknown, step: string): unknown {
  const name = step.slice(2);
  if (step.startsWith("f:")) return (value as Readonly<Record<string, unknown>> | undefined)?.[name];
  if (!step.startsWith("k:") || !Array.isArray(value)) return value;
  const keys = Object.entries(JSON.parse(name) as Readonly<Record<string, unknown>>);
  return value.find((item: Readonly<Record<string, unknown>>) => keys.every(([key, wanted]) => item[key] === wanted));
}

/** The books are often half of an object: what is kept of them is our page, as a digest. */
export function withoutManagedFields(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  const ownedFields = ownedFieldsOf(object);
  const { name } = object.metadata;
  return { ...object, metadata: { ...metadata, name, ...(ownedFields === undefined ? {} : { ownedFields }) } };
}
