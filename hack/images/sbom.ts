import { Enums, Models, Serialize, Spec } from "@cyclonedx/cyclonedx-library";

export interface Component {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

/**
 * The packages that files of a bundle come from: what is in the image, not what the lockfile might have put there.
 * @param read a file of the workspace, by its path
 */
export function componentsOf(files: readonly string[], read: (path: string) => string): readonly Component[] {
  const folders = new Set(files.map(findPackageFolder).filter((folder) => folder !== undefined));
  const components = new Map<string, Component>();
  for (const folder of folders) {
    const { name, version, license } = JSON.parse(read(`${folder}/package.json`)) as Component;
    components.set(`${name}@${version}`, {
      name,
      version,
      ...(typeof license === "string" ? { license } : {}),
    });
  }
  return [...components.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** `…/node_modules/@scope/name` of a file below it; undefined for our own files. */
export function findPackageFolder(file: string): string | undefined {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1];
}

/** CycloneDX, as JSON. Without a time or a serial number: the same inputs make the same document. */
export function renderSbom(subject: Component, components: readonly Component[]): string {
  const bom = new Models.Bom();
  bom.metadata.component = new Models.Component(Enums.ComponentType.Application, subject.name, {
    version: subject.version,
    bomRef: `${subject.name}@${subject.version}`,
  });
  for (const { name, version, license } of components) {
    const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
    const [group, bare] = name.startsWith("@") ? name.split("/") : [undefined, name];
    const component = new Models.Component(Enums.ComponentType.Library, bare ?? name, {
      version,
      purl,
      bomRef: purl,
      ...(group === undefined ? {} : { group }),
    });
    if (license !== undefined) component.licenses.add(new Models.NamedLicense(license));
    bom.components.add(component);
  }
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
  return `${serializer.serialize(bom, { space: 2, sortLists: true })}\n`;
}
