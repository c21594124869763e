import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { render } from "./helm.ts";

interface Release {
  readonly name: string;
  readonly chartPath: string;
  readonly valuesFiles?: readonly string[];
  readonly overrides?: object;
  readonly setValues?: Readonly<Record<string, string>>;
  readonly setValueTemplates?: Readonly<Record<string, string>>;
}

const file = join(import.meta.dirname, "../../skaffold.yaml");
const { deploy } = parse(readFileSync(file, "utf8")) as { deploy: { helm: { releases: readonly Release[] } } };

describe.each(deploy.helm.releases)("skaffold's release $name", (release) => {
  it("gives its chart only values that the chart knows", () => {
    const folder = mkdtempSync(join(tmpdir(), "pe-skaffold-"));
    try {
      const overrides = join(folder, "overrides.yaml");
      writeFileSync(overrides, stringify(release.overrides ?? {}));
      const values = [...(release.valuesFiles ?? []), overrides].flatMap((path) => ["--values", path]);
      // What skaffold fills in is the name of an image, or its tag.
      const templated = Object.keys(release.setValueTemplates ?? {}).map((path) => [path, "filled-in"]);
      const set = [...Object.entries(release.setValues ?? {}), ...templated].flatMap(([path, value]) => [
        "--set-string",
        `${path}=${value}`,
      ]);
      expect(render(release.chartPath.replace("charts/", ""), ...values, ...set)).not.toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
