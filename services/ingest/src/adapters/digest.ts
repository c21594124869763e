import { hash } from "node:crypto";

/** SHA-256 in hex: ids and content hashes are made of it, so it stays as it is. */
export function digest(text: string): string {
  return hash("sha256", text);
}
