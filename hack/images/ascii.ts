/**
 * The same code in ASCII: one character above U+007F, which esbuild leaves in patterns alone, and V8 keeps all of the text in two bytes a
 * character.
 */
export function escapeNonAscii(code: string): string {
  return code.replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
