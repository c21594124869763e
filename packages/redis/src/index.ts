export { makeLocalTokenBucket } from "./local-token-bucket.ts";
export { type GuardedRedis, isRedisOutage, makeRedis, type RedisOptions } from "./make-redis.ts";
export { pushSettings, type SettingsDocument, settingsKey } from "./push-settings.ts";
export { makeTokenBucket } from "./token-bucket.ts";
export type { BucketState, TokenBucket } from "./token-bucket-port.ts";
export { type SettingsWatch, type WatchSettingsOptions, watchSettings } from "./watch-settings.ts";
