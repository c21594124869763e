import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** A line that never ends must not grow without bound. */
const maxLineLength = 64 * 1024;

/** Calls `onLine` for each line of the stream, the last one also without its newline. */
export function readLines(stream: Readable, onLine: (line: string) => void): void {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  const take = (text: string) => {
    rest += text;
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      onLine(rest.slice(0, end));
      rest = rest.slice(end + 1);
    }
    if (rest.length > maxLineLength) {
      onLine(rest);
      rest = "";
    }
  };
  stream.on("data", (chunk: Buffer) => take(decoder.write(chunk)));
  stream.on("error", () => undefined);
  stream.once("close", () => {
    take(decoder.end());
    if (rest !== "") onLine(rest);
    rest = "";
  });
}
