import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import postgres from "postgres";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Endpoints, eraseInfra, infraStatus, type ServiceName, startInfra, stopInfra } from "../infra/index.ts";

const folders: string[] = [];
const silent = (): void => {};

// Servers are started many times over here, on machines that have other things to do.
vi.setConfig({ testTimeout: 300_000 });

afterEach(async () => {
  for (const dir of folders.splice(0)) {
    await eraseInfra(dir, silent);
    rmSync(dir, { recursive: true, force: true });
  }
});

function makeFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "pricing-engine-infra-test-"));
  folders.push(dir);
  return dir;
}

function start<const S extends ServiceName>(
  dir: string,
  services: readonly S[],
  lines: string[] = [],
  ports: "fixed" | "random" = "random",
) {
  const log = (line: string): void => void lines.push(line);
  return startInfra({ dir, services, ports, mode: "native", lifetime: "detached", log });
}

/** The first column of the first row. */
async function psql(url: string, text: string): Promise<unknown> {
  const sql = postgres(url, { max: 1, connect_timeout: 3 });
  try {
    const [row] = await sql.unsafe(text).values();
    return row?.[0];
  } finally {
    await sql.end();
  }
}

async function redis(url: string, command: string, ...args: string[]): Promise<unknown> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  client.on("error", () => {});
  try {
    await client.connect();
    return await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}

async function runningNames(dir: string): Promise<string[]> {
  return (await infraStatus(dir)).filter(({ running }) => running).map(({ name }) => name);
}

describe("a set", () => {
  it("keeps addresses and data over down and up, and loses them by reset", async () => {
    const dir = makeFolder();
    const { endpoints } = await start(dir, ["redis", "postgres"]);
    await redis(endpoints.redisUrl, "set", "key", "kept");
    await psql(endpoints.postgresUrl, "create table kept as select 1 as id");
    await stopInfra(dir, silent);
    expect(await runningNames(dir)).toEqual([]);
    expect(existsSync(join(dir, "endpoints.json"))).toBe(false);

    const again = await start(dir, ["redis", "postgres"]);
    expect(again.endpoints).toEqual(endpoints);
    expect(await redis(endpoints.redisUrl, "get", "key")).toBe("kept");
    expect(await psql(endpoints.postgresReplicaUrl, "select id from kept")).toBe(1);

    await eraseInfra(dir, silent);
    expect(readdirSync(dir)).toEqual(["set.lock"]);
    const empty = await start(dir, ["redis"]);
    expect(await redis(empty.endpoints.redisUrl, "dbsize")).toBe(0);
  });

  it("does not start again what runs", async () => {
    const dir = makeFolder();
    await start(dir, ["redis"]);
    const pid = readFileSync(join(dir, "redis.pid"), "utf8");
    await start(dir, ["redis"]);
    expect(readFileSync(join(dir, "redis.pid"), "utf8")).toBe(pid);
  });

  it("serves two starts at once with one server", async () => {
    const dir = makeFolder();
    const both = await Promise.all([start(dir, ["redis"]), start(dir, ["redis"])]);
    expect(both[0]?.endpoints).toEqual(both[1]?.endpoints);
    expect(await runningNames(dir)).toEqual(["redis"]);
  });

  it("brings servers back after they were killed, with their data", async () => {
    const infra = await start(makeFolder(), ["kafka", "postgres"]);
    await psql(infra.endpoints.postgresUrl, "create table kept as select 1 as id");
    await Promise.all([infra.kill("postgres"), infra.kill("kafka")]);
    await expect(psql(infra.endpoints.postgresUrl, "select 1")).rejects.toThrow();
    await Promise.all([infra.restart("postgres"), infra.restart("kafka")]);
    expect(await psql(infra.endpoints.postgresUrl, "select id from kept")).toBe(1);
    expect(await psql(infra.endpoints.postgresReplicaUrl, "select id from kept")).toBe(1);
  });

  it("has no replica when it is asked for none, also later", async () => {
    const dir = makeFolder();
    const shape = { dir, services: ["postgres"], ports: "random", mode: "native", lifetime: "detached" } as const;
    const { endpoints } = await startInfra({ ...shape, replica: false, log: silent });
    expect(endpoints.postgresReplicaUrl).toBe(endpoints.postgresUrl);
    expect(await psql(endpoints.postgresUrl, "select count(*)::int from pg_replication_slots")).toBe(0);
    expect(await runningNames(dir)).toEqual(["postgres"]);
    const again = await start(dir, ["postgres"]);
    expect(again.endpoints).toEqual(endpoints);
    await again.restart("postgres");
    expect(await runningNames(dir)).toEqual(["postgres"]);
    await expect(startInfra({ ...shape, replica: true, log: silent })).rejects.toThrow("made without a replica");
    await stopInfra(dir, silent);
    expect(await runningNames(dir)).toEqual([]);
  });

  it("does not lose the replica that it has", async () => {
    const dir = makeFolder();
    await start(dir, ["postgres"]);
    const shape = { dir, services: ["postgres"], ports: "random", mode: "native", lifetime: "detached" } as const;
    await expect(startInfra({ ...shape, replica: false, log: silent })).rejects.toThrow("made with a replica");
    expect(await runningNames(dir)).toEqual(["postgres", "postgres-replica"]);
  });
});

describe("repairs", () => {
  it("takes the pid of another process for a stale one", async () => {
    const dir = makeFolder();
    await start(dir, ["redis"]);
    await stopInfra(dir, silent);
    writeFileSync(join(dir, "redis.pid"), JSON.stringify({ pid: process.pid, birth: "1" }));
    expect(await runningNames(dir)).toEqual([]);
    await start(dir, ["redis"]);
    expect(await runningNames(dir)).toEqual(["redis"]);
  });

  it("does what an interrupted start left undone", async () => {
    const dir = makeFolder();
    await start(dir, ["redis"]);
    await stopInfra(dir, silent);
    // Half an initdb, half a copy, half a format, half a pid file.
    for (const half of ["postgres/primary.new", "postgres/replica", "kafka/data.new", "kafka/data"]) {
      mkdirSync(join(dir, half), { recursive: true });
    }
    writeFileSync(join(dir, "redis.pid"), '{"pid": 1');
    const { endpoints } = await start(dir, ["kafka", "postgres", "redis"]);
    expect(await psql(endpoints.postgresReplicaUrl, "select pg_is_in_recovery()")).toBe(true);
    expect(await runningNames(dir)).toEqual(["kafka", "postgres", "postgres-replica", "redis"]);
  });

  it("copies a replica anew that can no longer catch up", async () => {
    const dir = makeFolder();
    const infra = await start(dir, ["postgres"]);
    await infra.kill("postgres");
    const { endpoints } = await start(dir, ["postgres"]);
    await stopReplica(dir);
    await psql(endpoints.postgresUrl, "select pg_drop_replication_slot('replica')");
    await start(dir, ["postgres"]);
    await psql(endpoints.postgresUrl, "create table kept as select 1 as id");
    await expect.poll(() => psql(endpoints.postgresReplicaUrl, "select id from kept")).toBe(1);
  });
});

describe("faults", () => {
  it("names the port that is taken, and its holder", async () => {
    const dir = makeFolder();
    const { endpoints } = await start(dir, ["redis"]);
    await stopInfra(dir, silent);
    const holder = createServer().listen({ port: Number(new URL(endpoints.redisUrl).port), host: "127.0.0.1" });
    await once(holder, "listening");
    const { port } = new URL(endpoints.redisUrl);
    await expect(start(dir, ["redis"])).rejects.toThrow(
      new RegExp(`port ${port} for redis is in use by .+pid ${process.pid}`),
    );
    holder.close();
  });

  it("gives way to whoever has a well-known port, and keeps its data", async () => {
    const dir = makeFolder();
    const first = await start(dir, ["redis"], [], "fixed");
    await redis(first.endpoints.redisUrl, "SET", "kept", "1");
    await stopInfra(dir, silent);
    const { port } = new URL(first.endpoints.redisUrl);
    const holder = createServer().listen({ port: Number(port), host: "127.0.0.1" });
    await once(holder, "listening");
    const lines: string[] = [];
    const { endpoints } = await start(dir, ["redis"], lines, "fixed");
    expect(await redis(endpoints.redisUrl, "GET", "kept")).toBe("1");
    expect(lines.join("\n")).toContain(`port ${port} is in use, so redis gets port `);
    holder.close();
  });

  it("stops again what it started when not all comes up", async () => {
    const dir = makeFolder();
    const { endpoints } = await start(dir, ["redis", "postgres"]);
    await stopInfra(dir, silent);
    const port = Number(new URL(endpoints.redisUrl).port);
    const holder = createServer().listen({ port, host: "127.0.0.1" });
    await once(holder, "listening");
    await expect(start(dir, ["redis", "postgres"])).rejects.toThrow("in use");
    expect(await runningNames(dir)).toEqual([]);
    holder.close();
  });

  it("says which file is damaged, and reset makes the set usable again", async () => {
    const dir = makeFolder();
    await start(dir, ["redis"]);
    writeFileSync(join(dir, "state.json"), '{"ports": ');
    await expect(start(dir, ["redis"])).rejects.toThrow(/state\.json is damaged.*reset/);
    await eraseInfra(dir, silent);
    expect(await runningNames(dir)).toEqual([]);
    const { endpoints } = await start(dir, ["redis"]);
    expect(await redis(endpoints.redisUrl, "ping")).toBe("PONG");
  });

  it("ends a start that is called off, and stops again what it started", async () => {
    const dir = makeFolder();
    const stop = new AbortController();
    const log = (line: string): void => {
      if (line.startsWith("redis is ready")) stop.abort();
    };
    const shape = { dir, services: ["redis", "kafka"], ports: "random", mode: "native", lifetime: "session" } as const;
    await expect(startInfra({ ...shape, signal: stop.signal, log })).rejects.toThrow("no longer waiting for kafka");
    expect(await runningNames(dir)).toEqual([]);
    await start(dir, ["redis"]);
    expect(await runningNames(dir)).toEqual(["redis"]);
  });

  it("shows the end of the log of a server that ends while starting", async () => {
    const dir = makeFolder();
    await start(dir, ["redis"]);
    await stopInfra(dir, silent);
    writeFileSync(join(dir, "redis", "appendonlydir", "appendonly.aof.manifest"), "nonsense");
    await expect(start(dir, ["redis"])).rejects.toThrow(/redis ended while starting; .*\n.*/);
  });

  it("refuses another mode for data that is there", async () => {
    const dir = makeFolder();
    await start(dir, ["redis"]);
    const other = startInfra({
      dir,
      services: ["redis"],
      ports: "random",
      mode: "compose",
      lifetime: "detached",
      log: silent,
    });
    await expect(other).rejects.toThrow("made in mode native");
  });
});

describe("a session's set", () => {
  it.each(["SIGKILL", "SIGTERM"] as const)("ends with its process, also by %s", async (signal) => {
    const dir = makeFolder();
    const child = await startElsewhere(dir, { ephemeral: false });
    expect(await runningNames(dir)).toEqual(["redis"]);
    child.kill(signal);
    await expect.poll(() => runningNames(dir), { timeout: 60_000 }).toEqual([]);
  });

  it("leaves running what it found running", async () => {
    const dir = makeFolder();
    await start(dir, ["redis"]);
    const shape = { dir, services: ["redis", "postgres"], ports: "random", mode: "native" } as const;
    const infra = await startInfra({ ...shape, lifetime: "session", log: silent });
    await infra.stop();
    expect(await runningNames(dir)).toEqual(["redis"]);
  });

  it("leaves nothing behind when it is ephemeral", async () => {
    const dir = makeFolder();
    const shape = { dir, services: ["redis"], ports: "random", mode: "native" } as const;
    const infra = await startInfra({ ...shape, lifetime: "session", ephemeral: true, log: silent });
    const { redisUrl }: Endpoints<"redis"> = infra.endpoints;
    expect(await redis(redisUrl, "ping")).toBe("PONG");
    await infra.stop();
    expect(existsSync(dir)).toBe(false);
    await expect(redis(redisUrl, "ping")).rejects.toThrow();
  });

  it("leaves nothing behind when it is ephemeral and its process is killed", async () => {
    const dir = makeFolder();
    const child = await startElsewhere(dir, { ephemeral: true });
    child.kill("SIGKILL");
    await expect.poll(() => existsSync(dir), { timeout: 60_000 }).toBe(false);
  });
});

/** A set that another process has started, which is ready. */
async function startElsewhere(dir: string, options: { readonly ephemeral: boolean }): Promise<ChildProcess> {
  const shape = { dir, services: ["redis"], ports: "random", mode: "native", lifetime: "session", ...options };
  const script = `
    import { startInfra } from ${JSON.stringify(new URL("../infra/index.ts", import.meta.url).href)};
    await startInfra({ ...${JSON.stringify(shape)}, log() {} });
    console.log("ready");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
}

/** Kills the replica alone, which no call offers, since nobody else needs it. */
async function stopReplica(dir: string): Promise<void> {
  const { pid } = JSON.parse(readFileSync(join(dir, "postgres-replica.pid"), "utf8")) as { pid: number };
  process.kill(pid, "SIGINT");
  await expect.poll(() => runningNames(dir), { timeout: 60_000 }).toEqual(["postgres"]);
}
