import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startInfra } from "@pricing-engine/hack/infra";
import { Redis } from "ioredis";

/** A private redis-server, for tests that stop or empty it. */
export interface TestRedis extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Kills the server; clients see their connections break. */
  stop(): Promise<void>;
  /** Starts it again on the same port, empty. */
  start(): Promise<void>;
  /** FLUSHALL. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

/** Starts in some 100 ms. Tests without faults rather take `infra().redisUrl` and their own prefix. */
export async function makeTestRedis(): Promise<TestRedis> {
  const server = await startInfra({
    dir: mkdtempSync(join(tmpdir(), "pricing-engine-redis-")),
    services: ["redis"],
    ports: "random",
    lifetime: "session",
    ephemeral: true,
    log: () => {},
  });
  const url = server.endpoints.redisUrl;
  return {
    url,
    port: Number(new URL(url).port),
    stop: () => server.kill("redis"),
    start: () => server.restart("redis"),
    async empty() {
      const client = new Redis(url);
      try {
        await client.flushall();
      } finally {
        client.disconnect();
      }
    },
    close: () => server.stop(),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}
