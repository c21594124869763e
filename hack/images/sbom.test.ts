import { describe, expect, it } from "vitest";
import { componentsOf, findPackageFolder, renderSbom } from "./sbom.ts";

const manifests: Readonly<Record<string, string>> = {
  "node_modules/.pnpm/pino@10.4.0/node_modules/pino/package.json": `{"name":"pino","version":"10.4.0","license":"MIT"}`,
  "node_modules/.pnpm/@hono+x@2.1.8/node_modules/@hono/x/package.json": `{"name":"@hono/x","version":"2.1.8","license":"MIT"}`,
};
const read = (path: string): string => manifests[path] ?? "{}";

describe("findPackageFolder", () => {
  it.each([
    ["services/payment/src/main.ts", undefined],
    ["node_modules/.pnpm/pino@10.4.0/node_modules/pino/lib/a.js", "node_modules/.pnpm/pino@10.4.0/node_modules/pino"],
    [
      "node_modules/.pnpm/@hono+x@2.1.8/node_modules/@hono/x/dist/a.js",
      "node_modules/.pnpm/@hono+x@2.1.8/node_modules/@hono/x",
    ],
  ])("%s", (file, folder) => {
    expect(findPackageFolder(file)).toBe(folder);
  });
});

it("names each package of a bundle once, with its licence and package URL, and always the same", () => {
  const folders = Object.keys(manifests).map((path) => path.replace("/package.json", ""));
  const files = [...folders.flatMap((folder) => [`${folder}/a.js`, `${folder}/lib/b.js`]), "services/x/src/main.ts"];
  const components = componentsOf(files, read);
  expect(components.map(({ name, version }) => `${name}@${version}`)).toEqual(["@hono/x@2.1.8", "pino@10.4.0"]);

  const text = renderSbom({ name: "payment", version: "1.0.0" }, components);
  expect(renderSbom({ name: "payment", version: "1.0.0" }, components)).toBe(text);
  const bom = JSON.parse(text) as { bomFormat: string; components: { purl: string; licenses: unknown }[] };
  expect(bom.bomFormat).toBe("CycloneDX");
  expect(bom.components.map(({ purl }) => purl)).toEqual(["pkg:npm/%40hono/x@2.1.8", "pkg:npm/pino@10.4.0"]);
  expect(bom.components[1]?.licenses).toEqual([{ license: { name: "MIT" } }]);
});
