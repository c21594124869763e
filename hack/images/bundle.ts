import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { escapeNonAscii } from "./ascii.ts";
import { bundlePath, type ImageSpec } from "./catalog.ts";
import { loadLate } from "./late.ts";
import { type Component, componentsOf, renderSbom } from "./sbom.ts";

/** CommonJS libraries expect these; an ES module does not have them. */
const banner = [
  'import { createRequire as __createRequire } from "node:module";',
  "const require = __createRequire(import.meta.url);",
  "const __filename = import.meta.filename;",
  "const __dirname = import.meta.dirname;",
].join("\n");

export interface Bundle {
  /** Context of the Docker build. */
  readonly folder: string;
  readonly bytes: number;
  readonly components: readonly Component[];
}

/** Everything that the image holds beside its base, in a folder: its code, what it reads, and its SBOM. */
export async function makeBundle(root: string, image: ImageSpec, version: string): Promise<Bundle> {
  const folder = join(root, ".run", "images", image.name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { main: image.entry },
    outdir: join(folder, dirname(bundlePath)),
    outExtension: { ".js": ".mjs" },
    // What is imported late, or by one role alone, takes no memory of the others.
    splitting: true,
    chunkNames: "[name]-[hash]",
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    banner: { js: banner },
    plugins: [loadLate],
    // Optional, and used only by its presence.
    external: ["pg-native"],
    // Names stay whole, for stack traces and for what is found by a class' name.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  for (const output of Object.keys(metafile.outputs)) {
    const code = join(root, output);
    writeFileSync(code, escapeNonAscii(readFileSync(code, "utf8")));
  }
  for (const [from, to] of Object.entries(image.files)) {
    if (existsSync(join(root, from)))
      cpSync(join(root, from), join(folder, to), { recursive: true, dereference: true });
  }
  const read = (path: string) => readFileSync(join(root, path), "utf8");
  const files = [...Object.keys(metafile.inputs), ...Object.keys(image.files)];
  const components = componentsOf(files, read);
  writeFileSync(join(folder, "package.json"), `${JSON.stringify({ name: image.name, version, type: "module" })}\n`);
  writeFileSync(join(folder, "sbom.cdx.json"), renderSbom({ name: image.name, version }, components));
  cpSync(join(dirname(import.meta.filename), "Dockerfile"), join(folder, "Dockerfile"));
  return { folder, bytes: sizeOf(folder), components };
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((path) => statSync(join(folder, path)))
    .reduce((total, entry) => total + (entry.isFile() ? entry.size : 0), 0);
}
