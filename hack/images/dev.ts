/**
 * The image of `skaffold dev`: every service and the operator from source, one image for all of them, so that they have
 * one tag. What is synchronised lands below /tmp, the only place where a pod may write.
 *
 *   node hack/images/dev.ts --ref IMAGE
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, globSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { closureOf, isShipped } from "./closure.ts";

const root = join(import.meta.dirname, "..", "..");
const { values } = parseArgs({ options: { ref: { type: "string" } } });
if (values.ref === undefined) throw new Error("usage: node hack/images/dev.ts --ref IMAGE");

const services = readdirSync(join(root, "services")).map((name) => join("services", name));
const { packages, stored } = closureOf(root, [...services, "operator"]);
const own = ["dev.Dockerfile", "dev-entry.mjs"].map((name) => join("hack", "images", name));

// skaffold asks for one service after another: the first builds, the others find what it built.
const label = `dev.pricing-engine.inputs=${hashOf([...packages, "package.json", ...own])}`;
const [built] = docker("images", "--quiet", "--filter", `label=${label}`).split("\n");
if (built === undefined || built === "") {
  const folder = join(root, ".run", "images", "dev");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const path of packages) copy(path, join(folder, "workspace", path));
  copy("package.json", join(folder, "workspace", "package.json"));
  // The store apart: it is large, and never edited.
  for (const name of stored) copy(join("node_modules", ".pnpm", name), join(folder, "store", name));
  for (const path of own) copy(path, join(folder, basename(path)));
  docker("build", "--quiet", "--label", label, "--tag", values.ref, "--file", join(folder, "dev.Dockerfile"), folder);
} else {
  docker("tag", built, values.ref);
}

/** Of everything that goes into the image; a name of the store has its version. */
function hashOf(paths: readonly string[]): string {
  const hash = createHash("sha256").update(stored.join("\n"));
  for (const path of paths) {
    const inside = globSync("**", { cwd: join(root, path), exclude: (name) => name === "node_modules" }).sort();
    for (const file of [path, ...inside.map((name) => join(path, name))]) {
      const absolute = join(root, file);
      if (!isShipped(absolute) || !lstatSync(absolute).isFile()) continue;
      hash.update(`\n${file}\n`).update(readFileSync(absolute));
    }
  }
  return hash.digest("hex");
}

function docker(...args: string[]): string {
  return execFileSync("docker", args, { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });
}

function copy(from: string, to: string): void {
  cpSync(join(root, from), to, { recursive: true, verbatimSymlinks: true, filter: isShipped });
}
