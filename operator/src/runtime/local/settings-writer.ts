import type { EngineSettings } from "@pricing-engine/contracts";
import { type GuardedRedis, pushSettings } from "@pricing-engine/redis";
import { z } from "zod";
import { findJson, writeFileAtomic } from "./atomic-file.ts";

export interface SettingsWriter {
  /** The file first, for processes that start; then Redis, for those that run. Repeats are free. */
  write(settings: EngineSettings, hash: string): Promise<void>;
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
  let written = "";

  async function raiseEpoch(): Promise<void> {
    const raw = await redis.guarded((client) => client.get(`${prefix}settings`));
    const newer = headSchema.safeParse(raw === null ? undefined : JSON.parse(raw));
    if (newer.success) epoch = Math.max(epoch, newer.data.epoch) + 1;
    revision = 1;
  }

  return {
    async write(settings, hash) {
      if (hash !== written) {
        revision++;
        writeFileAtomic(file, JSON.stringify({ epoch, revision, settings }), { durable: true });
        written = hash;
      }
      if ((await pushSettings(redis, prefix, { epoch, revision, settings })) !== "stale") return;
      await raiseEpoch();
      writeFileAtomic(file, JSON.stringify({ epoch, revision, settings }), { durable: true });
      await pushSettings(redis, prefix, { epoch, revision, settings });
    },
  };
}
