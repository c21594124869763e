import { createHash } from "node:crypto";
import type { GuardedRedis } from "@pricing-engine/redis";
import type { CachePort, FillReply, FillRequest, RefusalReason } from "./port.ts";
import type { Read } from "./protocol.ts";

// Sixteen digits each, so that < on texts is < on numbers.
// Several fills in one call, each decided by what the ones before it left.
const fillScript = script(`
local function fill(metaKey, markerKey, entryKey, generation, policy, sequence, seen, ttl, markerTtl, body)
  local meta = redis.call('GET', metaKey)
  if not meta or string.sub(meta, 1, 16) ~= generation then return {'refused', 'generation'} end
  local known = string.sub(meta, 18)
  if policy < known then return {'refused', 'policy'} end
  local marker = redis.call('GET', markerKey)
  if not marker then return {'refused', 'marker'} end
  if string.sub(marker, 1, 1) == '!' and marker ~= seen then return {'refused', 'marker'} end
  if sequence < marker then return {'refused', 'sequence'} end
  local header = generation .. ':' .. policy .. ':' .. sequence .. '|'
  local stored = redis.call('GET', entryKey)
  if stored and string.sub(stored, 1, 17) == generation .. ':' then
    if string.sub(stored, 1, 51) == header then
      if marker == sequence and known == policy then return {'kept', string.sub(stored, 52)} end
    elseif sequence < string.sub(stored, 35, 50) then
      return {'refused', 'sequence'}
    end
  end
  if known < policy then redis.call('SET', metaKey, generation .. ':' .. policy) end
  redis.call('SET', markerKey, sequence, 'PX', markerTtl)
  if tonumber(ttl) > 0 then redis.call('SET', entryKey, header .. body, 'PX', ttl)
  else redis.call('DEL', entryKey) end
  return {'stored'}
end
local replies = {}
for i = 1, #ARGV / 7 do
  replies[i] = fill(KEYS[1], KEYS[2 * i], KEYS[2 * i + 1], unpack(ARGV, 7 * i - 6, 7 * i))
end
return replies`);

const raiseMarkersScript = script(`
for i, key in ipairs(KEYS) do
  local marker = redis.call('GET', key)
  if not marker or marker < ARGV[i + 1] then redis.call('SET', key, ARGV[i + 1], 'PX', ARGV[1]) end
end`);

const ensureKnownScript = script(`
local meta = redis.call('GET', KEYS[1])
if not meta then
  meta = ARGV[1] .. ':0000000000000000'
  redis.call('SET', KEYS[1], meta)
end
local marker = redis.call('GET', KEYS[2])
if not marker then
  marker = ARGV[2]
  redis.call('SET', KEYS[2], marker, 'PX', ARGV[3])
end
return {meta, marker}`);

const replaceGenerationScript = script(`
local meta = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. (meta and string.sub(meta, 18) or '0000000000000000'))`);

const raisePolicyScript = script(`
local meta = redis.call('GET', KEYS[1])
if not meta then redis.call('SET', KEYS[1], ARGV[2] .. ':' .. ARGV[1])
elseif string.sub(meta, 18) < ARGV[1] then redis.call('SET', KEYS[1], string.sub(meta, 1, 17) .. ARGV[1]) end`);

// More keys in one MGET would hold up Redis' other clients for too long.
const maxReadsPerCommand = 256;
const maxMarksPerCommand = 500;
const maxFillsPerCommand = 32;

type PendingFill = { request: FillRequest } & Omit<PromiseWithResolvers<FillReply>, "promise">;
type PendingRead = { marker: string; entry: string } & PromiseWithResolvers<Read>;

export function makeRedisPort({ redis, prefix }: { redis: GuardedRedis; prefix: string }): CachePort {
  const metaKey = `${prefix}cache:meta`;
  const markerKey = (productId: string): string => `${prefix}cache:marker:${productId}`;
  const entryKey = (context: string): string => `${prefix}cache:entry:${context}`;
  let pending = new Map<string, PendingRead>();
  let fills: PendingFill[] = [];

  /** One MGET for all that was asked in this turn of the event loop; equal contexts share an answer. */
  function flush(): void {
    const reads = [...pending.values()];
    pending = new Map();
    for (let start = 0; start < reads.length; start += maxReadsPerCommand) {
      const chunk = reads.slice(start, start + maxReadsPerCommand);
      const keys = [metaKey];
      for (const { marker, entry } of chunk) keys.push(marker, entry);
      // Settled by hand: a promise chained to the command's per read is a tenth of what a hit allocates.
      redis
        .guarded((client) => client.mgetBuffer(keys))
        .then(
          (found) => {
            const meta = found[0] ?? null;
            for (const [index, { resolve }] of chunk.entries()) {
              resolve({ meta, marker: found[2 * index + 1] ?? null, entry: found[2 * index + 2] ?? null });
            }
          },
          (error: unknown) => {
            for (const { reject } of chunk) reject(error);
          },
        );
    }
  }

  async function run(code: Script, keys: readonly string[], args: readonly (string | Buffer)[]): Promise<unknown> {
    return redis.guarded(async (connection) => {
      const client = connection as typeof connection & ScriptCalls;
      try {
        return await client.evalshaBuffer(code.sha, keys.length, ...keys, ...args);
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
        return client.evalBuffer(code.text, keys.length, ...keys, ...args);
      }
    });
  }

  /** One script for the fills of this turn of the event loop. */
  function flushFills(): void {
    const all = fills;
    fills = [];
    for (let start = 0; start < all.length; start += maxFillsPerCommand) {
      void runFills(all.slice(start, start + maxFillsPerCommand));
    }
  }

  async function runFills(chunk: readonly PendingFill[]): Promise<void> {
    const keys = [metaKey];
    const args: (string | Buffer)[] = [];
    for (const { request } of chunk) {
      keys.push(markerKey(request.productId), entryKey(request.contextKey));
      args.push(request.generation, request.policyVersion, request.sequence, request.seenMarker ?? "");
      args.push(String(request.ttlMs), String(request.markerTtlMs), request.body);
    }
    try {
      const replies = await run(fillScript, keys, args);
      for (const [index, { resolve }] of chunk.entries()) {
        resolve(parseFillReply(Array.isArray(replies) ? replies[index] : undefined));
      }
    } catch (error) {
      for (const { reject } of chunk) reject(error);
    }
  }

  return {
    read(productId, context) {
      const known = pending.get(context);
      if (known !== undefined) return known.promise;
      const settling = Promise.withResolvers<Read>();
      if (pending.size === 0) setImmediate(flush);
      pending.set(context, { marker: markerKey(productId), entry: entryKey(context), ...settling });
      return settling.promise;
    },
    fill(request) {
      const { promise, ...settle } = Promise.withResolvers<FillReply>();
      if (fills.length === 0) setImmediate(flushFills);
      fills.push({ request, ...settle });
      return promise;
    },
    async raiseMarkers(marks, ttlMs) {
      for (let start = 0; start < marks.length; start += maxMarksPerCommand) {
        const chunk = marks.slice(start, start + maxMarksPerCommand);
        const keys = chunk.map(({ productId }) => markerKey(productId));
        await run(raiseMarkersScript, keys, [String(ttlMs), ...chunk.map(({ sequence }) => sequence)]);
      }
    },
    async ensureKnown({ productId, generation, placeholder, ttlMs }) {
      const keys = [metaKey, markerKey(productId)];
      const [meta, marker] = (await run(ensureKnownScript, keys, [generation, placeholder, String(ttlMs)])) as Buffer[];
      return { meta: String(meta), marker: String(marker) };
    },
    async replaceGeneration(generation) {
      await run(replaceGenerationScript, [metaKey], [generation]);
    },
    async raisePolicyVersion(policyVersion, generation) {
      await run(raisePolicyScript, [metaKey], [policyVersion, generation]);
    },
  };
}

// The client has them, its types do not. (Its callBuffer loses the command's name when pipelining by itself.)
type ScriptCall = (code: string, keyCount: number, ...args: (string | Buffer)[]) => Promise<unknown>;
type ScriptCalls = { evalshaBuffer: ScriptCall; evalBuffer: ScriptCall };

type Script = { text: string; sha: string };

function script(text: string): Script {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

function parseFillReply(reply: unknown): FillReply {
  const [outcome, value] = Array.isArray(reply) ? reply : [];
  switch (String(outcome)) {
    case "stored":
      return { outcome: "stored" };
    case "kept":
      return { outcome: "kept", body: value };
    default:
      return { outcome: "refused", reason: String(value) as RefusalReason };
  }
}
