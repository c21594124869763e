import type { KubeList } from "./client.ts";
import { isExpired, KubeError } from "./kube-error.ts";
import type { KubeObject, ResourceType } from "./types.ts";

interface Page {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  /** Without apiVersion and kind, which the list has. */
  readonly items: readonly Omit<KubeObject, "apiVersion" | "kind">[] | null;
}

/**
 * Page by page: thousands of objects in one answer are a burden to the API server and to us. A snapshot that was
 * compacted away between two pages (410) cannot be continued: begin again, at last without pages, which cannot expire.
 */
export async function listAll(
  type: ResourceType,
  pageSize: number,
  read: (query: { limit?: number; continue?: string }) => Promise<unknown>,
): Promise<KubeList> {
  try {
    return await listPages(type, pageSize, read);
  } catch (error) {
    if (!isExpired(error)) throw error;
  }
  return await listPages(type, undefined, read);
}

async function listPages(
  type: ResourceType,
  limit: number | undefined,
  read: (query: { limit?: number; continue?: string }) => Promise<unknown>,
): Promise<KubeList> {
  const items: KubeObject[] = [];
  let token: string | undefined;
  for (;;) {
    const { metadata, items: some } = (await read({
      ...(limit === undefined ? {} : { limit }),
      ...(token === undefined ? {} : { continue: token }),
    })) as Page;
    if (metadata?.resourceVersion === undefined) {
      throw new KubeError(`a list of ${type.plural} without a resourceVersion`, { status: 0, reason: "Garbled" });
    }
    for (const item of some ?? []) {
      items.push({ ...item, apiVersion: type.apiVersion, kind: type.kind } as KubeObject);
    }
    token = metadata.continue;
    if (token === undefined || token === "") return { items, resourceVersion: metadata.resourceVersion };
  }
}
