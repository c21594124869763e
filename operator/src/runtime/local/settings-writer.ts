import type { EngineSettings } from "@pricing-engine/contracts";
import { type GuardedRedis, pushSettings } from "@pricing-engine/redis";
import { z } from "zod";
import type { SettingsHash } from "../runtime.ts";
import { findJson, writeFileAtomic } from "./atomic-file.ts";

export interface SettingsWriter {
  /** The file first, for processes that start; then Redis, for those that run, renewals alone too. Repeats are free. */
  write(settings: EngineSettings, hash: SettingsHash): Promise<void>;
}

const headSchema = z.object({ epoch: z.int(), revision: z.int() });

/**
 * Live settings as one document with this operator's term. A term is higher than every earlier one of the file, and than
 * the clock's second at its beginning, so that it also beats documents of a state directory that was thrown away; should
 * Redis still know a later one (a clock that went back), the term is raised above that.
 */
export function makeSettingsWriter(options: {
  readonly file: string;
  readonly prefix: string;
  readonly redis: GuardedRedis;
  readonly nowMs: () => number;
}): SettingsWriter {
  const { file, prefix, redis } = options;
  const before = headSchema.safeParse(findJson(file));
  let epoch = Math.max(before.success ? before.data.epoch + 1 : 1, Math.floor(options.nowMs() / 1000));
  let revision = 0;
  let renewal = 0;
  let written: Partial<SettingsHash> = {};

  async function raiseEpoch(): Promise<void> {
    const raw = await redis.guarded((client) => client.get(`${prefix}settings`));
    const newer = headSchema.safeParse(raw === null ? undefined : JSON.parse(raw));
    if (newer.success) epoch = Math.max(epoch, newer.data.epoch) + 1;
    revision = 1;
    renewal = 0;
  }

  return {
    async write(settings, hash) {
      const document = () => ({ epoch, revision, renewal, settings });
      const store = () => writeFileAtomic(file, JSON.stringify(document()), { durable: true });
      if (hash.whole !== written.whole) {
        revision++;
        renewal = 0;
        store();
      } else if (hash.advice !== written.advice) renewal++;
      written = hash;
      if ((await pushSettings(redis, prefix, document())) !== "stale") return;
      await raiseEpoch();
      store();
      await pushSettings(redis, prefix, document());
    },
  };
}
