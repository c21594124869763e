/**
 * The image of `skaffold dev`: every service and the operator from source, one image for all of them, so that they have
 * one tag. What is synchronised lands below /tmp, the only place where a pod may write.
 *
 *   node hack/images/dev.ts --ref IMAGE
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { closureOf, isShipped } from "./closure.ts";

const root = join(import.meta.dirname, "..", "..");
const { values } = parseArgs({ options: { ref: { type: "string" } } });
if (values.ref === undefined) throw new Error("usage: node hack/images/dev.ts --ref IMAGE");

const folder = join(root, ".run", "images", "dev");
const services = readdirSync(join(root, "services")).map((name) => join("services", name));
const { packages, stored } = closureOf(root, [...services, "operator"]);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const path of packages) copy(path, join("workspace", path));
copy("package.json", join("workspace", "package.json"));
// The store apart: it is large, and never edited.
for (const name of stored) copy(join("node_modules", ".pnpm", name), join("store", name));
for (const name of ["dev.Dockerfile", "dev-entry.mjs"]) {
  cpSync(join(dirname(import.meta.filename), name), join(folder, name));
}
execFileSync("docker", ["build", "--quiet", "--tag", values.ref, "--file", "dev.Dockerfile", "."], {
  cwd: folder,
  stdio: ["ignore", "ignore", "inherit"],
});

function copy(from: string, to: string): void {
  cpSync(join(root, from), join(folder, to), { recursive: true, verbatimSymlinks: true, filter: isShipped });
}
