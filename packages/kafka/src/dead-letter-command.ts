import { parseArgs } from "node:util";
import type { DeadLetter, DeadLetters } from "./dead-letters.ts";

/** Runs `dlq …`; resolves with the exit code. */
export type DeadLetterCommand = (args: string[]) => Promise<number>;

export interface DeadLetterCommandOptions {
  deadLetters: DeadLetters;
  write(line: string): void;
}

const usage = `usage: dlq list
       dlq show <topic> [--id <partition/offset>]… [--json]
       dlq replay <topic> [--id <partition/offset>]… [--again]

list    every dead-letter topic with its counts and last error
show    the letters of one topic: why they died, headers, body
replay  sends the originals to the group that failed; what was replayed before is left out without --again`;

/** The `dlq` subcommand that a service mounts. Exit codes: 0 done, 2 wrong usage or nothing of that name. */
export function makeDeadLetterCommand({ deadLetters, write }: DeadLetterCommandOptions): DeadLetterCommand {
  const list = async () => {
    const summaries = await deadLetters.list();
    if (summaries.length === 0) write("no dead-letter topics");
    for (const { deadLetterTopic, total, replayed, lastError } of summaries) {
      const last =
        lastError === undefined ? "" : `  last: ${lastError.code} ${lastError.failedAt} ${lastError.message}`;
      write(`${deadLetterTopic}  ${total} letters, ${replayed} replayed${last}`);
    }
    return 0;
  };

  const show = async (topic: string, ids: string[] | undefined, json: boolean) => {
    const letters = (await deadLetters.show(topic)).filter(({ id }) => ids?.includes(id) ?? true);
    if (letters.length === 0) write("no dead letters");
    for (const letter of letters) write(json ? JSON.stringify(toJson(letter)) : describe(letter));
    return letters.length === 0 && ids !== undefined ? 2 : 0;
  };

  const replay = async (topic: string, ids: string[] | undefined, again: boolean) => {
    const { sent, skipped } = await deadLetters.replay(topic, { again, ...(ids === undefined ? {} : { ids }) });
    write(`${sent} replayed${skipped > 0 ? `, ${skipped} were replayed before (--again sends them once more)` : ""}`);
    return ids !== undefined && sent + skipped === 0 ? 2 : 0;
  };

  return async (args) => {
    const parsed = parse(args);
    if (parsed === undefined) {
      write(usage);
      return 2;
    }
    const { values, positionals } = parsed;
    const [verb, topic, ...rest] = positionals;
    if (verb === "list" && topic === undefined) return list();
    if (topic !== undefined && rest.length === 0) {
      if (verb === "show") return show(topic, values.id, values.json);
      if (verb === "replay") return replay(topic, values.id, values.again);
    }
    write(usage);
    return 2;
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        id: { type: "string", multiple: true },
        json: { type: "boolean", default: false },
        again: { type: "boolean", default: false },
      },
    });
  } catch {
    return undefined;
  }
}

function headersAsText({ headers }: DeadLetter): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, (Array.isArray(value) ? value : [value]).join(", ")]),
  );
}

function toJson(letter: DeadLetter) {
  const { key, value, original, ...rest } = letter;
  return {
    ...rest,
    headers: headersAsText(letter),
    original: { ...original, offset: original.offset.toString() },
    key: key?.toString("utf8") ?? null,
    value: value?.toString("utf8") ?? null,
  };
}

function describe(letter: DeadLetter): string {
  const { id, original, group, code, message, attempts, failedAt, replayed, key, value } = letter;
  return [
    `${id}${replayed ? " (replayed)" : ""}  ${code}: ${message}`,
    `  group ${group}, ${attempts} attempts, failed at ${failedAt}`,
    `  from ${original.topic} ${original.partition}/${original.offset}, key ${key?.toString("utf8") ?? "none"}`,
    ...Object.entries(headersAsText(letter)).map(([name, text]) => `  ${name}: ${text}`),
    `  ${value?.toString("utf8") ?? "(tombstone)"}`,
  ].join("\n");
}
