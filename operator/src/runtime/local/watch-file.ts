import { readFileSync, unwatchFile, watchFile } from "node:fs";

/**
 * Calls back with the content whenever it changed. Polls: editors replace files, mounts swallow events, and half a second
 * is soon enough. A file that is away for a moment is no change.
 */
export function watchText(path: string, first: string, onChange: (text: string) => void): { close(): void } {
  let last = first;
  const look = () => {
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch {
      return;
    }
    if (text === last) return;
    last = text;
    onChange(text);
  };
  watchFile(path, { interval: 400 }, look);
  return { close: () => unwatchFile(path, look) };
}
