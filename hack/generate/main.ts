/**
 * Writes the reference pages and the CRD from what the code says; with `--check` only compares, and fails when a page is out of date.
 *
 *   node hack/generate/main.ts [--check]
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
// By path: the operator depends on hack/infra, so that a dependency the other way round would be a cycle.
import { renderCrd } from "../../operator/src/api/crd/crd.ts";
import { renderValuesSchema } from "../../operator/src/api/crd/values-schema.ts";
import { renderResourceReference } from "../../operator/src/api/reference.ts";
import { renderErrorReference } from "../../packages/chassis/src/errors/index.ts";
import { makeOpenApiDocument } from "../../services/gateway/src/openapi/document.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const check = process.argv.includes("--check");

const pages: Readonly<Record<string, string>> = {
  "docs/reference/resource.md": renderResourceReference(),
  "crds/pricing-engine.dev_pricingengines.yaml": renderCrd(),
  // Helm reads files of its own folder alone.
  "charts/pricing-engine-operator/files/crd.yaml": renderCrd(),
  "charts/pricing-engine/values.schema.json": renderValuesSchema(),
  "docs/reference/errors.md": renderErrorReference(),
  "docs/reference/openapi.json": makeOpenApiDocument(),
};

/** As the formatter would leave it, so that format and drift checks agree. */
function format(page: string, text: string): string {
  if (page.endsWith(".yaml")) return text;
  const biome = join(root, "node_modules/.bin/biome");
  return execFileSync(biome, ["format", `--stdin-file-path=${page}`], { cwd: root, input: text, encoding: "utf8" });
}

function findCommitted(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

const formatted = Object.entries(pages).map(([page, text]) => [page, format(page, text)] as const);
const stale = formatted.filter(([page, text]) => findCommitted(join(root, page)) !== text);
for (const [page, text] of stale) {
  if (check) {
    console.error(`${page} is out of date: pnpm generate writes it`);
    continue;
  }
  mkdirSync(dirname(join(root, page)), { recursive: true });
  writeFileSync(join(root, page), text);
  console.log(`wrote ${page}`);
}
process.exitCode = check && stale.length > 0 ? 1 : 0;
