import type { CachePort } from "./port.ts";
import { encodeHeader, encodeMeta, encodeNumber, parseMeta } from "./protocol.ts";

type Cell = { value: string; expiresMs: number };

/** The port in memory, step by step what the scripts do: for the simulation, which can also empty or rewind it. */
export type MemoryPort = CachePort & {
  empty(): void;
  /** As an eviction does. */
  forget(key: string): void;
  snapshot(): ReadonlyMap<string, Cell>;
  rewind(snapshot: ReadonlyMap<string, Cell>): void;
};

export function makeMemoryPort({ now }: { now: () => number }): MemoryPort {
  let cells = new Map<string, Cell>();
  const metaKey = "meta";

  const get = (key: string): string | undefined => {
    const cell = cells.get(key);
    return cell === undefined || cell.expiresMs <= now() ? undefined : cell.value;
  };
  const set = (key: string, value: string, ttlMs = Number.POSITIVE_INFINITY): void => {
    cells.set(key, { value, expiresMs: now() + ttlMs });
  };
  const bytes = (value: string | undefined): Buffer | null =>
    value === undefined ? null : Buffer.from(value, "latin1");

  return {
    read: async (productId, contextKey) => ({
      meta: bytes(get(metaKey)),
      marker: bytes(get(`marker:${productId}`)),
      entry: bytes(get(`entry:${contextKey}`)),
    }),
    async fill(request) {
      const { productId, contextKey, generation, policyVersion, sequence, ttlMs, markerTtlMs, body } = request;
      const meta = get(metaKey);
      const known = meta === undefined ? undefined : parseMeta(meta);
      if (known?.generation !== generation) return { outcome: "refused", reason: "generation" };
      if (policyVersion < known.policyVersion) return { outcome: "refused", reason: "policy" };
      const marker = get(`marker:${productId}`);
      if (marker === undefined) return { outcome: "refused", reason: "marker" };
      if (marker.startsWith("!") && marker !== request.seenMarker) return { outcome: "refused", reason: "marker" };
      if (sequence < marker) return { outcome: "refused", reason: "sequence" };
      const header = encodeHeader(generation, policyVersion, sequence);
      const stored = get(`entry:${contextKey}`);
      if (stored?.startsWith(`${generation}:`)) {
        if (stored.startsWith(header)) {
          if (marker === sequence && known.policyVersion === policyVersion) {
            return { outcome: "kept", body: Buffer.from(stored.slice(header.length), "latin1") };
          }
        } else if (sequence < stored.slice(34, 50)) {
          return { outcome: "refused", reason: "sequence" };
        }
      }
      if (known.policyVersion < policyVersion) set(metaKey, encodeMeta(generation, policyVersion));
      set(`marker:${productId}`, sequence, markerTtlMs);
      if (ttlMs > 0) set(`entry:${contextKey}`, header + body.toString("latin1"), ttlMs);
      else cells.delete(`entry:${contextKey}`);
      return { outcome: "stored" };
    },
    async raiseMarkers(marks, ttlMs) {
      for (const { productId, sequence } of marks) {
        const marker = get(`marker:${productId}`);
        if (marker === undefined || marker < sequence) set(`marker:${productId}`, sequence, ttlMs);
      }
    },
    async ensureKnown({ productId, generation, placeholder, ttlMs }) {
      const meta = get(metaKey) ?? encodeMeta(generation, encodeNumber(0));
      set(metaKey, meta);
      const known = get(`marker:${productId}`);
      if (known === undefined) set(`marker:${productId}`, placeholder, ttlMs);
      return { meta, marker: known ?? placeholder };
    },
    async replaceGeneration(generation) {
      const meta = get(metaKey);
      set(metaKey, encodeMeta(generation, meta === undefined ? encodeNumber(0) : parseMeta(meta).policyVersion));
    },
    async raisePolicyVersion(policyVersion, generation) {
      const meta = get(metaKey);
      const known = meta === undefined ? { generation, policyVersion: encodeNumber(0) } : parseMeta(meta);
      if (meta === undefined || known.policyVersion < policyVersion) {
        set(metaKey, encodeMeta(known.generation, policyVersion));
      }
    },
    empty: () => cells.clear(),
    forget: (key) => cells.delete(key),
    snapshot: () => new Map(cells),
    rewind: (snapshot) => {
      cells = new Map(snapshot);
    },
  };
}
