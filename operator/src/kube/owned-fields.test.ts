import { describe, expect, it } from "vitest";
import { fieldManager, ownedFieldsOf, withoutManagedFields } from "./owned-fields.ts";
import type { KubeObject, ManagedFields } from "./types.ts";

const ours: ManagedFields = {
  manager: fieldManager,
  operation: "Apply",
  fieldsV1: {
    "f:metadata": { "f:labels": { "f:app": {} } },
    "f:spec": {
      "f:replicas": {},
      "f:containers": { 'k:{"name":"app"}': { ".": {}, "f:name": {}, "f:image": {} } },
      "f:selector": {},
    },
  },
};
const spec = {
  replicas: 2,
  containers: [{ name: "app", image: "a:1", args: ["theirs"] }],
  selector: { app: "a" },
};

function anObject(
  change: { spec?: object; labels?: Record<string, string>; books?: ManagedFields[] } = {},
): KubeObject {
  const { books = [ours], labels = { app: "a" } } = change;
  return {
    apiVersion: "v1",
    kind: "Thing",
    metadata: { name: "thing", labels, managedFields: books },
    spec: { ...spec, ...change.spec },
  };
}

const before = ownedFieldsOf(anObject());

describe("what others do", () => {
  it.each([
    ["set a field that is not ours", anObject({ spec: { paused: true } })],
    ["set a label", anObject({ labels: { app: "a", theirs: "1" } })],
    ["put a container before ours", anObject({ spec: { containers: [{ name: "side" }, ...spec.containers] } })],
    [
      "write the status",
      anObject({ books: [ours, { manager: "kubelet", operation: "Update", subresource: "status" }] }),
    ],
  ])("is no drift: %s", (_what, object) => expect(ownedFieldsOf(object)).toBe(before));

  it.each([
    ["a field", anObject({ spec: { replicas: 3 } })],
    ["a field of our container", anObject({ spec: { containers: [{ name: "app", image: "b:1" }] } })],
    ["our container, gone", anObject({ spec: { containers: [] } })],
    ["a key in what is one value", anObject({ spec: { selector: { app: "a", theirs: "1" } } })],
    ["a label", anObject({ labels: { app: "b" } })],
    ["the ownership of a field", anObject({ books: [{ ...ours, fieldsV1: { "f:spec": { "f:replicas": {} } } }] })],
    ["the ownership of all", anObject({ books: [] })],
  ])("is drift, also under our own name: %s", (_what, object) => expect(ownedFieldsOf(object)).not.toBe(before));
});

it("is the same of what is kept without the books", () => {
  const kept = withoutManagedFields(anObject());
  expect(kept.metadata.managedFields).toBeUndefined();
  expect(ownedFieldsOf(kept)).toBe(before);
  expect(ownedFieldsOf(withoutManagedFields(kept))).toBe(before);
});

it("is nothing where nothing was applied by us", () => {
  const created: ManagedFields = { ...ours, operation: "Update" };
  expect(ownedFieldsOf(anObject({ books: [created, { ...ours, subresource: "status" }] }))).toBeUndefined();
});
