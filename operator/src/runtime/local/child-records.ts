import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { findJson, writeFileAtomic } from "./atomic-file.ts";
import { findStartTime, isAlive, type ProcessIdentity, signalProcess } from "./process-identity.ts";

const recordsSchema = z.array(z.object({ pid: z.int().positive(), startTime: z.string(), name: z.string() }));

type ChildRecord = ProcessIdentity & { readonly name: string };

export interface ChildRecords {
  add(pid: number, name: string): void;
  remove(pid: number): void;
}

/** The children that run, on disk, so that the next start can end those of an operator that was killed. */
export function makeChildRecords(path: string): ChildRecords {
  const records = new Map<number, ChildRecord>();
  const save = () => {
    try {
      writeFileAtomic(path, JSON.stringify([...records.values()]));
    } catch {
      // A full disk: the children still follow their operator by the pipe (child-guard.mjs).
    }
  };
  return {
    add(pid, name) {
      const startTime = findStartTime(pid);
      if (startTime === undefined) return;
      records.set(pid, { pid, startTime, name });
      save();
    },
    remove(pid) {
      if (records.delete(pid)) save();
    },
  };
}

/**
 * Ends what an earlier operator left behind, and says what that was. Records name pid and start time, so nobody else's
 * process is touched.
 */
export async function endLeftovers(path: string, graceMs: number): Promise<readonly string[]> {
  const parsed = recordsSchema.safeParse(findJson(path));
  const left = (parsed.success ? parsed.data : []).filter((record) => signalProcess(record, "SIGTERM"));
  const deadline = Date.now() + graceMs;
  while (left.some(isAlive)) {
    if (Date.now() > deadline) for (const record of left) signalProcess(record, "SIGKILL");
    await delay(20);
  }
  return left.map((record) => record.name);
}
