/*
 * How a cached price stays right. Postgres decides; Redis only remembers, and may forget anything at any moment.
 *
 *   meta    one per engine: <generation>:<policy version>
 *   marker  one per product: the highest sequence known (a product's sequence counts all that a quote reads of it), or a placeholder
 *   entry   one per context: <generation>:<policy version>:<sequence>|<ready bytes>
 *
 * An entry, as a reader sees it in one round trip with meta and marker:
 *
 *   absent ── fill ──▶ valid ── marker raised ─────────▶ stale ── fill with that sequence or a higher one ──▶ valid
 *                        ├───── policy version raised ─▶ stale
 *                        ├───── new generation ────────▶ stale
 *                        └───── its time is over, or meta or marker lost ──▶ absent
 *
 * A reader that misses gets a ticket (generation, policy version and marker as seen), then reads Postgres, then fills.
 * The fill is one script. It refuses, and the reader starts again, when
 *   - meta is gone or of another generation: Redis was emptied or away meanwhile, markers may be lost;
 *   - the policy version or the marker is higher than what was read: somebody may have shown the newer price already;
 *   - there is no marker, or the ticket is older than the markers' spare life. Redis may have lost a marker that was raised after
 *     the ticket was issued. So a reader that finds none leaves a placeholder, below every number and never the same again, and
 *     only a ticket that saw just this one may fill on it: it was issued after the loss.
 * When an entry of just these facts is there already, it wins and is what must be answered: one decision per key.
 * Otherwise marker and policy version are raised to what was read before the answer leaves: from then on no reader
 * can be given less. Nothing ever lowers a marker, a policy version, or brings a generation back.
 *
 * Who answers without being able to raise the marker (Redis failed) owes it: until it is paid, this process does not
 * take hits for that product; when too much is owed, or the connection was lost, it starts a new generation first. One that
 * was cut off is seldom alone: for a while after it is back it computes and fills, but takes no hits, until the others that
 * may have shown newer prices are back as well.
 */

/** Digits of a number in Redis: of equal length, so that text order is number order in any locale. */
const digits = 16;
const headerLength = 3 * digits + 3;

/** A fill older than this is refused: markers live longer by far. */
export const maxFillMs = 30_000;
/** Placeholders are left for unknown products too, so they go as soon as no fill can come any more. */
export const placeholderTtlMs = 2 * maxFillMs;
/**
 * After an outage processes find Redis again one after the other: up to 1.1 s until the next attempt to connect, and half a second until
 * the breaker lets a probe through. One that is back takes no hits for so long: another may still be showing newer prices.
 */
export const settleMs = 3_000;
/** How long a raised marker lives at least. */
export const markerTtlMs = 10 * 60_000;

/** Safe integers have at most 16 digits. */
export function encodeNumber(value: number): string {
  return String(value).padStart(digits, "0");
}

/** `nonce`: 16 hex digits that never come again. */
export function makePlaceholder(nonce: string): string {
  return `!${nonce.slice(1)}`;
}

export function encodeMeta(generation: string, policyVersion: string): string {
  return `${generation}:${policyVersion}`;
}

export function encodeHeader(generation: string, policyVersion: string, sequence: string): string {
  return `${generation}:${policyVersion}:${sequence}|`;
}

/** What a reader knew before it read Postgres; generation undefined: Redis could not be asked. */
export type Ticket = {
  productId: string;
  contextKey: string;
  generation: string | undefined;
  /** As stored, 16 digits. */
  policyVersion: string;
  /** As stored, possibly a placeholder; undefined when there was none. */
  marker: string | undefined;
  /** Redis was just found again: what others show meanwhile may not be in it, so nothing computed for another reader will do. */
  settling: boolean;
  /** Monotonic clock of the process that holds the ticket. */
  issuedMs: number;
};

/** What the answer was computed from, read from Postgres in one statement after the ticket was issued. */
export type Facts = { sequence: number; policyVersion: number };

export type Read = { meta: Buffer | null; marker: Buffer | null; entry: Buffer | null };

/** The ready bytes when meta, marker and entry agree. Compares bytes in place: this runs for every hit. */
export function findBody({ meta, marker, entry }: Read): Buffer | undefined {
  if (meta === null || marker === null || entry === null || entry.length < headerLength) return undefined;
  const metaEnd = 2 * digits + 1;
  if (entry.compare(meta, 0, meta.length, 0, metaEnd) !== 0) return undefined;
  if (entry.compare(marker, 0, marker.length, metaEnd + 1, headerLength - 1) !== 0) return undefined;
  return entry.subarray(headerLength);
}

export function parseMeta(meta: string): { generation: string; policyVersion: string } {
  return { generation: meta.slice(0, digits), policyVersion: meta.slice(digits + 1) };
}
