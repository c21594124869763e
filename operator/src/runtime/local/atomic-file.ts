import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";

/** Replaces the file whole: a reader sees the old or the new content, also after a crash. */
export function writeFileAtomic(
  path: string,
  content: string,
  options: { mode?: number; durable?: boolean } = {},
): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = openSync(temporary, "w", options.mode ?? 0o644);
  try {
    writeSync(file, content);
    if (options.durable === true) fsyncSync(file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

/** The parsed content; undefined when the file is missing or was torn. */
export function findJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
