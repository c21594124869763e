import type { FieldError } from "../errors/index.ts";

/** What makes a text unfit for Postgres and for other peers; undefined when it is fine. */
export function textFault(text: string): Omit<FieldError, "pointer"> | undefined {
  if (text.includes("\0")) return { code: "null_character", message: "must not contain U+0000" };
  if (!text.isWellFormed()) return { code: "lone_surrogate", message: "must not contain a lone surrogate" };
  return undefined;
}

const maxPointerLength = 256;

/** JSON pointer (RFC 6901) of a path, cut short when a client chose a very long key. */
export function pointerOf(path: readonly PropertyKey[]): string {
  const pointer = path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
  const fit = pointer.length > maxPointerLength ? `${pointer.slice(0, maxPointerLength)}…` : pointer;
  return fit.toWellFormed().replaceAll("\0", "\uFFFD");
}
