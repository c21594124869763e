/** A ready answer of `/search`: what is kept in Redis and sent as it is. */
export type SearchAnswer = {
  /** With its quotes. */
  readonly etag: string;
  /** The next page, as a `Link` header has it. */
  readonly link: string | undefined;
  readonly body: Buffer;
};

const newline = 0x0a;

/** One line of headers, then the bytes of the body. Neither an entity tag nor a link holds a tab or a line end. */
export function encodeAnswer({ etag, link, body }: SearchAnswer): Buffer {
  return Buffer.concat([Buffer.from(`${etag}\t${link ?? ""}\n`), body]);
}

/** The body is a view of the entry, not a copy. */
export function decodeAnswer(entry: Buffer): SearchAnswer {
  const end = entry.indexOf(newline);
  const [etag = "", link = ""] = entry.toString("latin1", 0, end).split("\t");
  return { etag, link: link === "" ? undefined : link, body: entry.subarray(end + 1) };
}
