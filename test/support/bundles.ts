import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Where each service's bundle lies, in a folder by its name. */
export const bundlesDir = join(root, ".run", "images");

/** Makes what runs on Kubernetes, one file for each; resolves to where those are. */
export async function makeBundles<const Name extends string>(names: readonly Name[]): Promise<Record<Name, string>> {
  const maker = join(root, "hack", "images", "main.ts");
  const args = [maker, "--bundle-only", "--only", names.join(",")];
  await promisify(execFile)(process.execPath, args, { timeout: 120_000 });
  const entries = names.map((name) => [name, join(bundlesDir, name, "src", "roles", "main.mjs")]);
  return Object.fromEntries(entries) as Record<Name, string>;
}
