import type { GuardedRedis } from "./make-redis.ts";

export type SettingsDocument<Settings = unknown> = {
  /** The writer's term. */
  epoch: number;
  /** Grows with every change within the term. */
  revision: number;
  /** Grows whenever the same is said once more, so that advice with a date does not expire; 0 with each revision, and when absent. */
  renewal?: number | undefined;
  settings: Settings;
};

/** Name of the key and of the channel that tells about it. */
export function settingsKey(prefix: string): string {
  return `${prefix}settings`;
}

// A stored document that cannot be read gives way: it can only be a foreign hand's, and would block all settings.
const script = `
local stored = redis.call('GET', KEYS[1])
if stored then
  local ok, document = pcall(cjson.decode, stored)
  if ok and type(document) == 'table' and type(document.epoch) == 'number' and type(document.revision) == 'number' then
    local known = {document.epoch, document.revision, tonumber(document.renewal) or 0}
    for place = 1, 3 do
      local mine = tonumber(ARGV[place])
      if known[place] > mine then return 'stale' end
      if known[place] < mine then break end
      if place == 3 then return 'unchanged' end
    end
  end
end
redis.call('SET', KEYS[1], ARGV[4])
redis.call('PUBLISH', KEYS[1], ARGV[4])
return 'written'
`;

/**
 * Writes the document unless the same or a newer one is there, and tells all readers. The writer repeats it on every
 * pass, so that a Redis that lost it gets it back. @throws AppError redis_unavailable
 */
export async function pushSettings(
  redis: GuardedRedis,
  prefix: string,
  document: SettingsDocument,
): Promise<"written" | "unchanged" | "stale"> {
  const { epoch, revision, renewal = 0 } = document;
  const answer = await redis.guarded((client) =>
    client.eval(script, 1, settingsKey(prefix), epoch, revision, renewal, JSON.stringify(document)),
  );
  return answer === "stale" || answer === "unchanged" ? answer : "written";
}
