import type { GuardedRedis } from "./make-redis.ts";

/** `epoch` is the writer's term, `revision` grows with every change within it. */
export type SettingsDocument<Settings = unknown> = { epoch: number; revision: number; settings: Settings };

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
    local epoch, revision = tonumber(ARGV[1]), tonumber(ARGV[2])
    if document.epoch > epoch or (document.epoch == epoch and document.revision > revision) then return 'stale' end
    if document.epoch == epoch and document.revision == revision then return 'unchanged' end
  end
end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('PUBLISH', KEYS[1], ARGV[3])
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
  const { epoch, revision } = document;
  const answer = await redis.guarded((client) =>
    client.eval(script, 1, settingsKey(prefix), epoch, revision, JSON.stringify(document)),
  );
  return answer === "stale" || answer === "unchanged" ? answer : "written";
}
