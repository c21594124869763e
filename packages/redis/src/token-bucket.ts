import { checkRequest } from "./bucket-math.ts";
import type { GuardedRedis } from "./make-redis.ts";
import type { TakeRequest, TokenBucket } from "./token-bucket-port.ts";

// stepBucket in Lua, on Redis' own clock. Doubles are written with 17 digits: Lua's tostring would keep 14. A bucket
// without refill is kept for 30 days, any other until it is full and so may be forgotten.
const script = `
local capacity, rate, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local at = time[1] * 1000 + math.floor(time[2] / 1000)
local tokens = capacity
local stored = redis.call('HMGET', KEYS[1], 't', 'a')
if stored[1] and stored[2] then
  local before = tonumber(stored[2])
  at = math.max(at, before)
  tokens = math.min(capacity, tonumber(stored[1]) + (at - before) * rate / 1000)
end
local tolerance = 1e-9
local allowed, wait = 1, 0
if tokens + tolerance >= cost then
  if cost > 0 then tokens = math.max(0, tokens - cost) end
else
  allowed = 0
  if cost > capacity or rate <= 0 then wait = -1
  else wait = math.max(1, math.ceil((cost - tokens) * 1000 / rate - tolerance)) end
end
if cost > 0 or stored[1] then
  redis.call('HSET', KEYS[1], 't', string.format('%.17g', tokens), 'a', string.format('%.0f', at))
  local ttl = 2592000000
  if rate > 0 then ttl = math.min(ttl, math.ceil((capacity - tokens) * 1000 / rate) + 1000) end
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl))
end
return {allowed, math.floor(tokens + tolerance), string.format('%.0f', wait)}
`;

/** Buckets shared by all processes, by one atomic script on Redis' own clock. @throws AppError redis_unavailable */
export function makeTokenBucket({ redis, prefix }: { redis: GuardedRedis; prefix: string }): TokenBucket {
  redis.client.defineCommand("takeTokens", { numberOfKeys: 1, lua: script });

  async function take(request: TakeRequest) {
    checkRequest(request);
    const { key, capacity, refillPerSecond, cost } = request;
    const answer = await redis.guarded((client) =>
      (client as typeof client & ScriptCommands).takeTokens(`${prefix}bucket:${key}`, capacity, refillPerSecond, cost),
    );
    const [allowed, remaining, waitMs] = answer;
    const retryAfterMs = Number(waitMs) < 0 ? Number.POSITIVE_INFINITY : Number(waitMs);
    return { allowed: allowed === 1, remaining, retryAfterMs };
  }

  return { take, peek: (request) => take({ ...request, cost: 0 }) };
}

type ScriptCommands = {
  takeTokens(
    key: string,
    capacity: number,
    rate: number,
    cost: number,
  ): Promise<[allowed: number, remaining: number, waitMs: string]>;
};
