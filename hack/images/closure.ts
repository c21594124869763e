import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";

export interface Closure {
  /** Packages of the workspace, as paths from its root. */
  readonly packages: readonly string[];
  /** Folders of pnpm's virtual store: one for each version of a package from the registry. */
  readonly stored: readonly string[];
}

const store = join("node_modules", ".pnpm");

/** All that packages of the workspace need while they run: neither tests nor tools. */
export function closureOf(root: string, entries: readonly string[]): Closure {
  const packages = new Set<string>();
  const stored = new Set<string>();
  const visitStored = (folder: string): void => {
    if (stored.has(folder)) return;
    stored.add(folder);
    for (const link of linksIn(join(root, store, folder, "node_modules"))) visit(link);
  };
  const visitPackage = (path: string): void => {
    if (packages.has(path)) return;
    packages.add(path);
    const { dependencies = {} } = JSON.parse(readFileSync(join(root, path, "package.json"), "utf8")) as {
      dependencies?: Record<string, string>;
    };
    for (const name of Object.keys(dependencies)) visit(join(root, path, "node_modules", name));
  };
  const visit = (link: string): void => {
    const path = relative(root, realpathSync(link));
    if (path.startsWith(store)) visitStored(path.slice(store.length + 1).split(sep)[0] ?? "");
    else visitPackage(path);
  };
  for (const entry of entries) visitPackage(entry);
  return { packages: [...packages].sort(), stored: [...stored].sort() };
}

/** Links to other packages; what lies in a folder by itself belongs to it. Optional ones may lead nowhere. */
function linksIn(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && entry.name.startsWith("@")) return linksIn(path);
    return entry.isSymbolicLink() && existsSync(join(dirname(path), readlinkSync(path))) ? [path] : [];
  });
}

/** Names of the folders that a package brings to its image. */
export function isShipped(path: string): boolean {
  const name = basename(path);
  return name !== "test" && !/\.(?:test|sim|contract|operator)\.ts$/.test(name);
}
