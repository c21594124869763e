import { withoutManagedFields } from "./owned-fields.ts";
import type { KubeObject } from "./types.ts";

export type Change = "added" | "modified" | "deleted";

/** Objects by uid: deleted and made again under the same name are two. */
export interface InformerStore {
  get(uid: string): KubeObject | undefined;
  list(): readonly KubeObject[];
  /** All that is there now; tells the differences alone, what vanished first. */
  replace(objects: readonly KubeObject[]): void;
  /** One event of the stream, which may repeat what is known. */
  take(object: KubeObject, change: Change): void;
}

/** @param keep what is kept of each object */
export function makeInformerStore(
  onChange: (uid: string, object: KubeObject, change: Change) => void,
  keep: (object: KubeObject) => KubeObject = (object) => object,
): InformerStore {
  const objects = new Map<string, KubeObject>();

  function put(full: KubeObject): void {
    const object = keep(withoutManagedFields(full));
    const { uid, resourceVersion } = object.metadata;
    if (uid === undefined) return;
    const before = objects.get(uid);
    if (before !== undefined && before.metadata.resourceVersion === resourceVersion) return;
    objects.set(uid, object);
    onChange(uid, object, before === undefined ? "added" : "modified");
  }

  function remove(uid: string | undefined, last: KubeObject | undefined): void {
    const before = uid === undefined ? undefined : objects.get(uid);
    if (uid === undefined || before === undefined) return;
    objects.delete(uid);
    onChange(uid, last ?? before, "deleted");
  }

  return {
    get: (uid) => objects.get(uid),
    list: () => [...objects.values()],
    replace(all) {
      const present = new Set(all.map(({ metadata }) => metadata.uid));
      for (const uid of [...objects.keys()]) if (!present.has(uid)) remove(uid, undefined);
      for (const object of all) put(object);
    },
    take(object, change) {
      if (change === "deleted") remove(object.metadata.uid, keep(withoutManagedFields(object)));
      else put(object);
    },
  };
}
