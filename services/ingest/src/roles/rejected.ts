import { parseArgs } from "node:util";
import type { Logger } from "@pricing-engine/chassis/log";
import { kafkaAccessOf, makeKafka, makeProducer } from "@pricing-engine/kafka";
import { makePool, type Pool } from "@pricing-engine/postgres";
import { digest } from "../adapters/digest.ts";
import { encodeEvent, makePublishEvent } from "../adapters/event-publisher.ts";
import { type KeptRejection, listRejections } from "../adapters/rejection-store.ts";
import { forgetDocument } from "../adapters/source-store.ts";
import type { CommandConfig } from "../config.ts";
import { makeRetryRejected } from "../usecases/retry-rejected.ts";

const usage = `usage: rejected list [--source <name>] [--limit <n>]
       rejected show <id>
       rejected retry [<id>] [--source <name>] [--timezone <zone>]

list    plans that were refused and have not come right since, newest first
show    one of them: why, and what the feed said
retry   reads what the feed said by today's rules; what is good now goes the way of every plan
        --timezone  of times that name none, default UTC`;

const manyRows = 100_000;

/** `rejected …`; resolves with the exit code: 0 done, 1 nothing came right, 2 wrong usage or nothing of that name. */
export async function runRejected(args: string[], config: CommandConfig, logger: Logger): Promise<number> {
  const write = (line: string) => process.stdout.write(`${line}\n`);
  const parsed = parse(args);
  if (parsed === undefined) {
    write(usage);
    return 2;
  }
  const { verb, id, source, limit, timezone } = parsed;
  const pool = makePool({ url: config.POSTGRES_URL, max: 2, applicationName: "ingest-rejected", logger });
  try {
    if (verb === "list") return await list(pool, { source, limit }, write);
    const found = await listRejections(pool, { source, id, limit: verb === "show" ? 1 : manyRows });
    if (found.length === 0) {
      write(id === undefined ? "nothing is refused" : `nothing refused has the id ${id}`);
      return id === undefined ? 0 : 2;
    }
    if (verb === "show") {
      for (const each of found) write(describe(each));
      return 0;
    }
    return await retry(found, { pool, timezone, config, logger }, write);
  } finally {
    await pool.close();
  }
}

async function list(
  pool: Pool,
  filter: { source: string | undefined; limit: number },
  write: (line: string) => void,
): Promise<number> {
  const found = await listRejections(pool, filter);
  for (const { id, source, reason, detail, lastSeenAt } of found) {
    write(`${id}  ${source}  ${lastSeenAt.toISOString()}  ${reason}: ${detail}`);
  }
  if (found.length === 0) write("nothing is refused");
  return 0;
}

async function retry(
  found: readonly KeptRejection[],
  { pool, timezone, config, logger }: { pool: Pool; timezone: string; config: CommandConfig; logger: Logger },
  write: (line: string) => void,
): Promise<number> {
  const kafka = makeKafka({ ...kafkaAccessOf(config), clientId: "ingest-rejected", logger });
  const producer = makeProducer({ kafka });
  try {
    const publish = makePublishEvent(producer, config.prefix);
    const retryRejected = makeRetryRejected({
      publish: (read) => publish(read.event.id, encodeEvent(read)),
      digest,
    });
    const sources = new Set<string>();
    let sent = 0;
    for (const rejection of found) {
      const result = await retryRejected(rejection, timezone);
      if (result.kind === "published") {
        sent += 1;
        sources.add(rejection.source);
      } else write(`${rejection.id}  still refused  ${result.reason}: ${result.detail}`);
    }
    // Time zone and products are the source's to say: its next poll must not find its document unchanged.
    for (const source of sources) await forgetDocument(pool, source);
    write(`${sent} of ${found.length} are good now and were published`);
    return sent === 0 ? 1 : 0;
  } finally {
    await producer.close();
  }
}

function describe({ id, source, reason, detail, fragment, sequence, firstSeenAt, lastSeenAt }: KeptRejection): string {
  return [
    `${id}  ${reason}: ${detail}`,
    `  source ${source}, poll ${sequence}, since ${firstSeenAt.toISOString()}, last ${lastSeenAt.toISOString()}`,
    JSON.stringify(fragment, undefined, 2).replaceAll(/^/gm, "  "),
  ].join("\n");
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

interface Parsed {
  readonly verb: "list" | "show" | "retry";
  readonly id: string | undefined;
  readonly source: string | undefined;
  readonly limit: number;
  readonly timezone: string;
}

function parse(args: string[]): Parsed | undefined {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        source: { type: "string" },
        limit: { type: "string", default: "100" },
        timezone: { type: "string", default: "UTC" },
      },
    });
    const [name, id, ...rest] = positionals;
    const verb = (["list", "show", "retry"] as const).find((each) => each === name);
    const limit = Number(values.limit);
    const badId = id !== undefined && !uuid.test(id);
    if (verb === undefined || rest.length > 0 || badId || !Number.isInteger(limit) || limit < 1) return undefined;
    if ((verb === "show") !== (id !== undefined) && verb !== "retry") return undefined;
    new Intl.DateTimeFormat("en", { timeZone: values.timezone });
    return { verb, id, source: values.source, limit, timezone: values.timezone };
  } catch {
    return undefined;
  }
}
