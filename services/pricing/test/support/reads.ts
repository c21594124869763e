import { makeHttpApp } from "@pricing-engine/chassis/http";
import { policySchema } from "@pricing-engine/contracts";
import { makePriceCache, type PriceCache } from "@pricing-engine/price-cache";
import { type GuardedRedis, makeRedis } from "@pricing-engine/redis";
import { eventually, infra } from "@pricing-engine/testkit";
import { makeCompiledPolicies } from "../../src/adapters/compiled-policies.ts";
import { makeDecisionSigner } from "../../src/adapters/decision-signer.ts";
import { mountReads } from "../../src/http/reads.ts";
import type { GetPrice } from "../../src/usecases/get-price.ts";
import { makeTestService, silent, type TestService } from "./service.ts";

export const signer = makeDecisionSigner({ keys: [{ id: "k1", secret: Buffer.alloc(32, 7).toString("base64") }] });
export const members = policySchema.parse({
  market: [{ name: "double", adjust: { multiply: "2.0" }, reason: "Twice" }],
  customer: [{ name: "prime", when: "customer.prime", adjust: { multiply: "0.95" }, reason: "Members pay less" }],
});

export interface Reads {
  readonly service: TestService;
  readonly redis: GuardedRedis;
  readonly cache: PriceCache;
  readonly getPrice: GetPrice;
  /** How often the settings were asked for: once for each price that is computed. */
  settingsRead: number;
  /** GET, or POST of `body` as JSON. */
  send(path: string, body?: unknown): Promise<Response>;
  close(): Promise<void>;
}

/** The api's reads on a service of their own, with a cache in the real Redis. */
export async function openReads(): Promise<Reads> {
  const service = await makeTestService();
  // Until it is connected, or when a busy machine makes it slow to answer, Redis counts as away and nothing is kept.
  const redis = makeRedis({ url: infra().redisUrl, logger: silent, commandTimeoutMs: 2_000 });
  await eventually(() => redis.isAvailable());
  const cache = makePriceCache({ redis, prefix: service.prefix });
  const app = makeHttpApp({ logger: silent, name: "test" });
  const settings = () => {
    opened.settingsRead += 1;
    return { cacheTtlMs: 60_000, quoteTtlMs: 300_000 };
  };
  const { pool } = service;
  const policies = makeCompiledPolicies();
  const { getPrice } = mountReads(app, { pool, cache, policies, signer, settings, logger: silent });
  const opened: Reads = {
    service,
    redis,
    cache,
    getPrice,
    settingsRead: 0,
    send(path, body) {
      const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
      return Promise.resolve(app.request(path, body === undefined ? {} : init));
    },
    async close() {
      const keys = await redis.client.keys(`${service.prefix}*`).catch(() => []);
      if (keys.length > 0) await redis.client.del(...keys);
      await redis.close();
      await service.close();
    },
  };
  return opened;
}
