import { chownSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec, tryExec } from "../exec.ts";
import type { ServerCommand } from "../process.ts";
import { findPostgresInstallation, type PostgresInstallation } from "./postgres-installation.ts";
import type { NativeContext, Server } from "./server.ts";

export const postgresUser = "postgres";
export const postgresDatabase = "pricing_engine";
const slot = "replica";

/** A primary and, unless the set is without, its streaming replica. */
export function postgresServers(context: NativeContext): Server[] {
  let found: PostgresInstallation | undefined;
  // Looked for when first needed: a set can be stopped on a machine that has lost its programs.
  const installation = (): PostgresInstallation => {
    found ??= findPostgresInstallation(context.dir);
    return found;
  };
  const primary = primaryServer(context, installation);
  return context.replica ? [primary, replicaServer(context, installation)] : [primary];
}

function primaryServer(context: NativeContext, installation: () => PostgresInstallation): Server {
  const port = context.ports.postgres;
  return {
    ...common("postgres", port),

    async prepare() {
      const { home } = installation();
      const data = join(home, "primary");
      makeHome(installation());
      if (!existsSync(join(data, "PG_VERSION"))) {
        rmSync(data, { recursive: true, force: true });
        rmSync(join(home, "replica"), { recursive: true, force: true });
        await initialise(context, installation(), data);
      }
      return serverCommand(context, installation(), "postgres", data, port);
    },

    isReady: () => accepts(installation(), port),

    async settle() {
      const sql = (text: string): Promise<string> => query(context, installation(), port, text);
      if ((await sql(`select 1 from pg_database where datname = '${postgresDatabase}'`)) === "") {
        await sql(`create database ${postgresDatabase}`);
      }
    },
  };
}

function replicaServer(context: NativeContext, installation: () => PostgresInstallation): Server {
  const { ports } = context;
  return {
    ...common("postgres-replica", ports.postgresReplica),
    after: ["postgres"],

    async prepare() {
      const data = join(installation().home, "replica");
      // A replica without its slot, or away for more WAL than the slot may keep, cannot catch up: it is copied again.
      const state = `select wal_status from pg_replication_slots where slot_name = '${slot}'`;
      const status = await query(context, installation(), ports.postgres, state);
      if (status === "" || status === "lost" || !existsSync(join(data, "standby.signal")))
        await copyPrimary(context, installation(), data);
      // The primary's port may have changed since.
      const settings = join(data, "postgresql.auto.conf");
      const lines = [`primary_conninfo = '${primaryAddress(context)}'`, `primary_slot_name = '${slot}'`, ""];
      writeFileSync(settings, lines.join("\n"), { mode: 0o600 });
      own(settings, installation());
      return serverCommand(context, installation(), "postgres-replica", data, ports.postgresReplica);
    },

    async isReady() {
      if (!(await accepts(installation(), ports.postgresReplica))) return false;
      const sql = "select status from pg_stat_wal_receiver";
      return (await query(context, installation(), ports.postgresReplica, sql)) === "streaming";
    },
  };
}

function common(name: string, port: number) {
  // SIGINT is the fast shutdown: sessions are ended, the checkpoint is written.
  return {
    name,
    service: "postgres",
    port,
    stopSignal: "SIGINT",
    stopGraceMs: 20_000,
    startTimeoutMs: 60_000,
  } as const;
}

/** Made aside and renamed: an interrupted initdb leaves nothing that looks finished. */
async function initialise(context: NativeContext, installation: PostgresInstallation, data: string): Promise<void> {
  const { bin, as, home } = installation;
  const fresh = join(home, "primary.new");
  const passwordFile = join(home, "password.new");
  writeFileSync(passwordFile, context.password, { mode: 0o600 });
  own(passwordFile, installation);
  await exec(
    join(bin, "initdb"),
    [
      ...["--pgdata", fresh, "--username", postgresUser, "--pwfile", passwordFile, "--auth", "scram-sha-256"],
      ...["--encoding", "UTF8", "--locale", "C", ...(context.durable ? [] : ["--no-sync"])],
    ],
    { as, cwd: home },
  );
  rmSync(passwordFile);
  renameSync(fresh, data);
}

async function copyPrimary(context: NativeContext, installation: PostgresInstallation, data: string): Promise<void> {
  const { bin, as, home } = installation;
  const fresh = join(home, "replica.new");
  rmSync(data, { recursive: true, force: true });
  const sql = `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '${slot}'`;
  await query(context, installation, context.ports.postgres, sql);
  await exec(
    join(bin, "pg_basebackup"),
    [
      ...["--dbname", primaryAddress(context), "--pgdata", fresh, "--create-slot", "--slot", slot],
      ...["--wal-method", "stream", "--checkpoint", "fast", "--write-recovery-conf"],
      ...(context.durable ? [] : ["--no-sync"]),
    ],
    { as, cwd: home },
  );
  renameSync(fresh, data);
}

function primaryAddress({ ports, password }: NativeContext): string {
  return `host=127.0.0.1 port=${ports.postgres} user=${postgresUser} password=${password}`;
}

function serverCommand(
  context: NativeContext,
  { bin, as, home }: PostgresInstallation,
  name: string,
  data: string,
  port: number,
): ServerCommand {
  const settings = settingsOf(context, port).flatMap((setting) => ["-c", setting]);
  return { name, command: join(bin, "postgres"), args: ["-D", data, ...settings], as, cwd: home };
}

function settingsOf({ durable }: NativeContext, port: number): string[] {
  return [
    `port=${port}`,
    "listen_addresses=127.0.0.1",
    // A socket's path may be too long, and nobody needs it.
    "unix_socket_directories=",
    "max_connections=400",
    "shared_buffers=128MB",
    "wal_level=replica",
    "max_wal_senders=10",
    "max_replication_slots=10",
    "max_slot_wal_keep_size=2GB",
    "hot_standby=on",
    "hot_standby_feedback=on",
    "wal_receiver_status_interval=1s",
    "timezone=UTC",
    "log_timezone=UTC",
    "password_encryption=scram-sha-256",
    // A test set is thrown away after the run: the page cache survives every crash but the machine's.
    ...(durable ? [] : ["fsync=off", "full_page_writes=off"]),
  ];
}

async function accepts(installation: PostgresInstallation, port: number): Promise<boolean> {
  const args = ["--quiet", "--host", "127.0.0.1", "--port", String(port), "--dbname", "postgres"];
  return (await tryExec(join(installation.bin, "pg_isready"), args)).code === 0;
}

async function query(
  context: NativeContext,
  installation: PostgresInstallation,
  port: number,
  sql: string,
): Promise<string> {
  const target = ["--host", "127.0.0.1", "--port", String(port), "--username", postgresUser, "--dbname", "postgres"];
  const args = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", ...target, "--command", sql];
  const env = { PGPASSWORD: context.password, PGCONNECT_TIMEOUT: "5" };
  return (await exec(join(installation.bin, "psql"), args, { env })).trim();
}

/** Also clears what interrupted calls left. */
function makeHome(installation: PostgresInstallation): void {
  const { home } = installation;
  mkdirSync(home, { recursive: true, mode: 0o700 });
  own(home, installation);
  for (const entry of readdirSync(home)) {
    if (entry.endsWith(".new")) rmSync(join(home, entry), { recursive: true, force: true });
  }
}

function own(path: string, { as }: PostgresInstallation): void {
  if (as !== undefined) chownSync(path, as.uid, as.gid);
}
