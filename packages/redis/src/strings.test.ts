import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";

/**
 * Whoever defines a subclass of String (ioredis did, for a reply that nobody asks for) turns what all strings inherit into a hash
 * table, and a loop of `charCodeAt` takes six times as long, in the whole process.
 */
it("leaves the methods of strings where V8 finds them at once", () => {
  const look = (before: string): string => {
    const code = `${before}; console.log(%HasFastProperties(String.prototype))`;
    const args = ["--allow-natives-syntax", "--input-type=module", "--eval", code];
    return execFileSync(process.execPath, args, { encoding: "utf8" }).trim();
  };
  expect(look("class Text extends String {}")).toBe("false");
  expect(look(`await import(${JSON.stringify(new URL("./index.ts", import.meta.url).href)})`)).toBe("true");
});
