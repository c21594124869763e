import { expect, it } from "vitest";
import { makeInformerStore } from "./informer-store.ts";
import type { KubeObject } from "./types.ts";

const pod = (uid: string, resourceVersion: string, name = "pod"): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, uid, resourceVersion, managedFields: [{ manager: "somebody" }] },
});

function aStore() {
  const told: string[] = [];
  const store = makeInformerStore((uid, object, change) => {
    told.push(`${change} ${uid}@${object.metadata.resourceVersion}`);
  });
  return { store, take: () => told.splice(0) };
}

it("tells what a stream changes, and nothing twice", () => {
  const { store, take } = aStore();
  store.take(pod("a", "1"), "added");
  store.take(pod("a", "1"), "added");
  store.take(pod("a", "2"), "modified");
  store.take(pod("b", "3"), "modified");
  store.take(pod("a", "4"), "deleted");
  store.take(pod("a", "4"), "deleted");
  expect(take()).toEqual(["added a@1", "modified a@2", "added b@3", "deleted a@4"]);
  expect(store.list().map(({ metadata }) => metadata.uid)).toEqual(["b"]);
});

it("tells the differences alone when all is replaced, what vanished first", () => {
  const { store, take } = aStore();
  store.replace([pod("a", "1"), pod("b", "1"), pod("c", "1")]);
  expect(take()).toEqual(["added a@1", "added b@1", "added c@1"]);
  store.replace([pod("d", "2"), pod("c", "1"), pod("b", "2")]);
  expect(take()).toEqual(["deleted a@1", "added d@2", "modified b@2"]);
});

it("keeps two of one name apart", () => {
  const { store, take } = aStore();
  store.replace([pod("a", "1", "same")]);
  store.replace([pod("b", "2", "same")]);
  expect(take()).toEqual(["added a@1", "deleted a@1", "added b@2"]);
  expect(store.get("a")).toBeUndefined();
});

it("keeps no managed fields", () => {
  const { store } = aStore();
  store.take(pod("a", "1"), "added");
  expect(store.get("a")?.metadata).toEqual({ name: "pod", uid: "a", resourceVersion: "1" });
});
