import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";

export interface LogSink {
  /** Writes a line with the name of the process before it. Never throws: a full disk must not end an engine. */
  write(name: string, line: string): void;
  close(): void;
}

const maxFileBytes = 32 * 1024 * 1024;

/** One file for all processes; at 32 MiB it becomes `.1`, so that an engine that runs for long fills no disk. */
export function makeLogSink(path: string): LogSink {
  let file = openSync(path, "a");
  let size = fstatSync(file).size;
  return {
    write(name, line) {
      try {
        size += writeSync(file, `[${name}] ${line}\n`);
        if (size < maxFileBytes) return;
        closeSync(file);
        renameSync(path, `${path}.1`);
        file = openSync(path, "a");
        size = 0;
      } catch {
        // Said by the disk itself soon enough, in a condition of the engine.
      }
    },
    close: () => closeSync(file),
  };
}

const shownLevels = new Set(["warn", "error", "fatal", 40, 50, 60]);

/** The line for a terminal: JSON of a level that matters in short, other text as it is; undefined for the rest. */
export function shortenLogLine(line: string): string | undefined {
  if (!line.startsWith("{")) return line.trim() === "" ? undefined : line;
  try {
    const { level, msg, err } = JSON.parse(line) as { level?: unknown; msg?: unknown; err?: { message?: unknown } };
    if (!shownLevels.has(level as string)) return undefined;
    const cause = typeof err?.message === "string" ? `: ${err.message}` : "";
    return `${String(level)} ${String(msg ?? "")}${cause}`;
  } catch {
    return line;
  }
}
