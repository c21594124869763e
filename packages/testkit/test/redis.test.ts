import { Redis } from "ioredis";
import { expect, it } from "vitest";
import { makeTestRedis } from "../src/index.ts";

async function withClient<T>(url: string, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  client.on("error", () => {});
  try {
    await client.connect();
    return await work(client);
  } finally {
    client.disconnect();
  }
}

it("stops, starts empty on the same port, and is emptied", async () => {
  await using redis = await makeTestRedis();
  await withClient(redis.url, (client) => client.set("key", "1"));
  await redis.empty();
  expect(await withClient(redis.url, (client) => client.get("key"))).toBeNull();
  await withClient(redis.url, (client) => client.set("key", "2"));
  await redis.stop();
  await expect(withClient(redis.url, (client) => client.ping())).rejects.toThrow();
  await redis.start();
  expect(await withClient(redis.url, (client) => client.get("key"))).toBeNull();
});
