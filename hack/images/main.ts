/**
 * Builds the images: bundles, then `docker build`, then prints what each holds and weighs.
 *
 *   node hack/images/main.ts [--tag X] [--registry R] [--only gateway,pricing] [--ref IMAGE] [--kind CLUSTER] [--bundle-only]
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeBundle } from "./bundle.ts";
import { type ImageSpec, images } from "./catalog.ts";

const root = join(import.meta.dirname, "..", "..");
const { values } = parseArgs({
  options: {
    tag: { type: "string", default: "dev" },
    registry: { type: "string", default: "pricing-engine" },
    only: { type: "string" },
    /** The whole name of the one image: what skaffold asks for. */
    ref: { type: "string" },
    kind: { type: "string" },
    "bundle-only": { type: "boolean", default: false },
  },
});

const names = values.only?.split(",") ?? images.map(({ name }) => name);
const unknown = names.filter((name) => !images.some((image) => image.name === name));
if (unknown.length > 0) throw new Error(`no image ${unknown.join(", ")}: ${images.map(({ name }) => name).join(", ")}`);
if (values.ref !== undefined && names.length !== 1) throw new Error("--ref names one image: give --only too");

const references: string[] = [];
for (const image of images.filter(({ name }) => names.includes(name))) {
  if (!existsSync(join(root, image.entry))) {
    console.log(`${image.name.padEnd(10)} has no ${image.entry}: left out`);
    continue;
  }
  const startedAt = performance.now();
  const bundle = await makeBundle(root, image, values.tag);
  const facts = [`${mebibytes(bundle.bytes)} of ours`, `${bundle.components.length} packages`];
  if (!values["bundle-only"]) {
    const reference = values.ref ?? `${values.registry}/${image.name}:${values.tag}`;
    await buildImage(image, reference, bundle.folder);
    const size = execFileSync("docker", ["image", "inspect", "--format", "{{.Size}}", reference], { encoding: "utf8" });
    facts.unshift(`${mebibytes(Number(size))} with its base`);
    references.push(reference);
  }
  console.log(
    `${image.name.padEnd(10)} ${facts.join(", ")} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`,
  );
}
if (values.kind !== undefined && references.length > 0) {
  await run("kind", ["load", "docker-image", "--name", values.kind, ...references]);
}

async function buildImage(image: ImageSpec, reference: string, folder: string): Promise<void> {
  const args = { TITLE: image.title, VERSION: values.tag, REVISION: findRevision() };
  const buildArgs = Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
  await run("docker", ["build", "--quiet", "--tag", reference, ...buildArgs, folder]);
}

function findRevision(): string {
  try {
    return execFileSync("git", ["rev-parse", "HEAD"], { cwd: root, encoding: "utf8" }).trim();
  } catch {
    // Sources without a repository, such as an archive.
    return "unknown";
  }
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${program} ${args[0]} ended with ${code ?? "a signal"}`);
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}
