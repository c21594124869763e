import { FeedFault } from "./feed-reader.ts";

/** Bytes of a document to text, piece by piece. @throws FeedFault `encoding` */
export interface Decoder {
  write(bytes: Uint8Array): string;
  end(): string;
}

const sniffedBytes = 256;
const known = new Set(["utf-8", "utf-16le", "utf-16be", "iso-8859-1", "iso-8859-15", "windows-1252", "us-ascii"]);

/**
 * Byte order mark, then the charset of the content type, then the XML declaration, then UTF-8. What does not decode is an error:
 * replacing it would change titles in silence.
 */
export function makeDecoder(contentType: string | undefined): Decoder {
  let decoder: InstanceType<typeof TextDecoder> | undefined;
  let head: Uint8Array = new Uint8Array(0);

  const decode = (bytes: Uint8Array, stream: boolean): string => {
    try {
      return decoder?.decode(bytes, { stream }) ?? "";
    } catch {
      throw new FeedFault("encoding", `the document is not ${decoder?.encoding ?? "text"}`);
    }
  };
  const begin = (): string => {
    decoder = open(pickLabel(head, contentType));
    const text = decode(head, true);
    head = new Uint8Array(0);
    return text;
  };

  return {
    write(bytes) {
      if (decoder !== undefined) return decode(bytes, true);
      const joined = new Uint8Array(head.length + bytes.length);
      joined.set(head);
      joined.set(bytes, head.length);
      head = joined;
      return head.length < sniffedBytes ? "" : begin();
    },
    end() {
      const text = decoder === undefined ? begin() : "";
      return text + decode(new Uint8Array(0), false);
    },
  };
}

function pickLabel(head: Uint8Array, contentType: string | undefined): string {
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) return "utf-8";
  if (head[0] === 0xff && head[1] === 0xfe) return "utf-16le";
  if (head[0] === 0xfe && head[1] === 0xff) return "utf-16be";
  const charset = /;\s*charset\s*=\s*"?([\w.:-]+)/i.exec(contentType ?? "")?.[1];
  if (charset !== undefined) return charset;
  const declaration = String.fromCharCode(...head.subarray(0, sniffedBytes));
  return /^\s*<\?xml[^>]*\sencoding\s*=\s*["']([\w.:-]+)["']/.exec(declaration)?.[1] ?? "utf-8";
}

function open(label: string): InstanceType<typeof TextDecoder> {
  const name = label.toLowerCase();
  if (!known.has(name) && name !== "utf8" && name !== "latin1" && name !== "utf-16") {
    throw new FeedFault("encoding", `the encoding ${JSON.stringify(label.slice(0, 40))} is not supported`);
  }
  return new TextDecoder(name, { fatal: true });
}
