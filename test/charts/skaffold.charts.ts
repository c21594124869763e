import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseResource } from "@pricing-engine/operator/parse";
import { plan } from "@pricing-engine/operator/plan";
import { describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { firstOf, type KubeObject, render } from "./helm.ts";

interface Release {
  readonly name: string;
  readonly chartPath: string;
  readonly valuesFiles?: readonly string[];
  readonly overrides?: object;
  readonly setValues?: Readonly<Record<string, string>>;
  readonly setValueTemplates?: Readonly<Record<string, string>>;
}

const file = join(import.meta.dirname, "../../skaffold.yaml");
const { build, deploy } = parse(readFileSync(file, "utf8")) as {
  build: { artifacts: readonly { image: string; sync?: object }[] };
  deploy: { helm: { releases: readonly Release[] } };
};
const { releases } = deploy.helm;

/** As skaffold installs it. */
function renderRelease(release: Release): readonly KubeObject[] {
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
    return render(release.chartPath.replace("charts/", ""), ...values, ...set);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.each(releases)("skaffold's release $name", (release) => {
  it("gives its chart only values that the chart knows", () => {
    expect(renderRelease(release)).not.toEqual([]);
  });
});

it("every image that skaffold syncs sources into has pods in the shop, or is the operator's", () => {
  const shop = releases.find(({ name }) => name === "shop");
  if (shop === undefined) throw new Error("skaffold installs no shop");
  const { metadata, ...engine } = firstOf(renderRelease(shop), "PricingEngine");
  const parsed = parseResource(
    stringify({ ...engine, metadata: { name: metadata.name, namespace: metadata.namespace } }),
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const { workloads } = plan(parsed.resource, { hash: (text) => text, canSharePort: true });
  const run = new Set(workloads.map(({ service }) => `pricing-engine/${service}`));
  const synced = build.artifacts.filter(({ sync }) => sync !== undefined).map(({ image }) => image);
  expect(new Set(synced)).toEqual(new Set([...run, "pricing-engine/operator"]));
});
