import type { Kube } from "./client.ts";

/** A former leader woke up: what it wanted to send is its successor's to decide. */
export class NotLeading extends Error {
  override readonly name = "NotLeading";
}

/**
 * Writes only while this process leads, by its own clock at that very moment. What had already left stays as harmless as ever: scale
 * writes carry a version, settings a term, and an object that is put back is put right by the leader as drift.
 */
export function makeFencedKube(kube: Kube, isLeader: () => boolean): Kube {
  const fenced =
    <Args extends unknown[], Result>(write: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      if (!isLeader()) throw new NotLeading("this operator does not lead any more");
      return await write(...args);
    };
  return {
    ...kube,
    create: fenced(kube.create),
    replace: fenced(kube.replace),
    apply: fenced(kube.apply),
    applyStatus: fenced(kube.applyStatus),
    mergePatch: fenced(kube.mergePatch),
    writeScale: fenced(kube.writeScale),
    delete: fenced(kube.delete),
  };
}
