import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { GuardedRedis } from "@pricing-engine/redis";
import { contextKey, type PriceContext } from "./context-key.ts";
import { makeDebts } from "./debts.ts";
import type { CachePort, RefusalReason } from "./port.ts";
import {
  encodeNumber,
  type Facts,
  findBody,
  makePlaceholder,
  markerTtlMs,
  maxFillMs,
  parseMeta,
  placeholderTtlMs,
  type Read,
  settleMs,
  type Ticket,
} from "./protocol.ts";
import { makeRedisPort } from "./redis-port.ts";

export type Lookup = { outcome: "hit"; body: Buffer } | { outcome: "miss"; ticket: Ticket };

export type FillOutcome =
  /** Answer what was computed: it is what later hits get. */
  | { outcome: "stored" }
  /** Answer these bytes instead: somebody stored them first, from the same facts. */
  | { outcome: "kept"; body: Buffer }
  /** Look up and compute again: newer facts may have been shown already. */
  | { outcome: "refused"; reason: RefusalReason }
  /** Redis failed: answer what was computed; the marker is owed. */
  | { outcome: "away" };

export type PriceCache = {
  /** Never rejects: a Redis that fails is a miss whose ticket has no generation. */
  lookup(context: PriceContext): Promise<Lookup>;
  /** Never rejects. `ttlMs`: whole milliseconds, up to the next boundary of a list price; ≤ 0 keeps no entry. */
  fill(ticket: Ticket, facts: Facts, body: Buffer, ttlMs: number): Promise<FillOutcome>;
  /** Leaves sequences that were committed, or shown without a fill. Rejects while Redis is away. */
  markSequences(marks: readonly { productId: string; sequence: number }[]): Promise<void>;
  /** Makes entries of older policies stale. Rejects while Redis is away. */
  setPolicyVersion(policyVersion: number): Promise<void>;
  /** Makes every entry stale. Rejects while Redis is away. */
  newGeneration(): Promise<void>;
};

export type PriceCacheOptions = {
  port: CachePort;
  /** Registers what is called when the connection was lost and is back. */
  onReconnect: (listener: () => void) => void;
  /** 16 hex digits that never come again. */
  makeGeneration?: () => string;
  /** Monotonic clock, milliseconds. */
  now?: () => number;
  /** Told of errors that the cache lived through. */
  onError?: (error: unknown) => void;
};

const maxOwedProducts = 10_000;
// Longer than the breaker keeps calls away from a Redis that is back.
const renewalAttempts = 10;
const renewalPauseMs = 100;

/** The cache on a real Redis; see protocol.ts for what it promises. */
export function makePriceCache(deps: {
  redis: GuardedRedis;
  prefix: string;
  onError?: (error: unknown) => void;
}): PriceCache {
  return makePriceCacheOn({
    port: makeRedisPort(deps),
    onReconnect: (listener) => deps.redis.onReconnect(listener),
    ...(deps.onError === undefined ? {} : { onError: deps.onError }),
  });
}

export function makePriceCacheOn(options: PriceCacheOptions): PriceCache {
  const { port, onReconnect, onError = () => {}, now = () => performance.now() } = options;
  const { makeGeneration = () => randomBytes(8).toString("hex") } = options;
  const debts = makeDebts(maxOwedProducts);
  /** Counts what makes everything read before worthless in this process. */
  let disruptions = 0;
  let renewedThrough = 0;
  let renewal: Promise<void> | undefined;
  let payment: Promise<void> | undefined;
  let takesHitsFromMs = Number.NEGATIVE_INFINITY;

  onReconnect(() => {
    disruptions += 1;
    takesHitsFromMs = now() + settleMs;
    // Not left to the next lookup: what this process showed meanwhile is to bind the others soon.
    void renewSoon();
  });

  /** Starts a generation that no entry has; what was owed to the old one is forgiven. */
  async function renew(): Promise<void> {
    const through = disruptions;
    const forgiven = debts.snapshot();
    await port.replaceGeneration(makeGeneration());
    if (forgiven.policyVersion !== undefined) await port.raisePolicyVersion(forgiven.policyVersion, makeGeneration());
    debts.settle(forgiven);
    renewedThrough = through;
  }

  async function ensureRenewed(): Promise<void> {
    while (renewedThrough < disruptions) {
      renewal ??= renew().finally(() => {
        renewal = undefined;
      });
      await renewal;
    }
  }

  async function renewSoon(): Promise<void> {
    for (let attempt = 1; attempt <= renewalAttempts; attempt += 1) {
      try {
        return await ensureRenewed();
      } catch (error) {
        onError(error);
        await delay(renewalPauseMs, undefined, { ref: false });
      }
    }
  }

  async function payDebts(): Promise<void> {
    const owed = debts.snapshot();
    if (owed.policyVersion !== undefined) await port.raisePolicyVersion(owed.policyVersion, makeGeneration());
    await port.raiseMarkers(owed.marks, markerTtlMs);
    debts.settle(owed);
  }

  function startPaying(): void {
    payment ??= payDebts()
      .catch(onError)
      .finally(() => {
        payment = undefined;
      });
  }

  /** What a ticket says was there; makes what is not. */
  async function findKnown(productId: string, { meta, marker }: Read): Promise<{ meta: string; marker: string }> {
    if (meta !== null && marker !== null) return { meta: meta.toString("latin1"), marker: marker.toString("latin1") };
    const generation = makeGeneration();
    const placeholder = makePlaceholder(makeGeneration());
    return port.ensureKnown({ productId, generation, placeholder, ttlMs: placeholderTtlMs });
  }

  function owe(ticket: Ticket, facts: Facts): FillOutcome {
    debts.add(ticket.productId, encodeNumber(facts.sequence), encodeNumber(facts.policyVersion));
    if (debts.isOverflowing()) {
      debts.clear();
      disruptions += 1;
    }
    return { outcome: "away" };
  }

  return {
    async lookup(context) {
      const key = contextKey(context);
      const productId = context.product_id;
      const issuedMs = now();
      const settling = issuedMs < takesHitsFromMs;
      const away: Lookup = {
        outcome: "miss",
        ticket: {
          productId,
          contextKey: key,
          generation: undefined,
          policyVersion: "",
          marker: undefined,
          settling,
          issuedMs,
        },
      };
      try {
        if (renewedThrough < disruptions) await ensureRenewed();
        if (!debts.isEmpty()) {
          startPaying();
          if (debts.has(productId)) await payment;
          if (debts.has(productId)) return away;
        }
        const before = disruptions;
        const read = await port.read(productId, key);
        // Read through a connection that was lost meanwhile: it may be of a Redis that no longer is.
        if (before !== disruptions) return away;
        const body = settling ? undefined : findBody(read);
        if (body !== undefined) return { outcome: "hit", body };
        const { meta, marker } = await findKnown(productId, read);
        if (before !== disruptions) return away;
        return {
          outcome: "miss",
          ticket: { productId, contextKey: key, ...parseMeta(meta), marker, settling, issuedMs },
        };
      } catch (error) {
        onError(error);
        return away;
      }
    },
    async fill(ticket, facts, body, ttlMs) {
      const { productId, contextKey, generation, marker: seenMarker } = ticket;
      if (generation === undefined) return owe(ticket, facts);
      if (now() - ticket.issuedMs > maxFillMs) return { outcome: "refused", reason: "late" };
      const lifeMs = Math.max(0, Math.floor(ttlMs));
      try {
        return await port.fill({
          productId,
          contextKey,
          generation,
          policyVersion: encodeNumber(facts.policyVersion),
          sequence: encodeNumber(facts.sequence),
          seenMarker,
          ttlMs: lifeMs,
          markerTtlMs: Math.max(markerTtlMs, lifeMs + 2 * maxFillMs),
          body,
        });
      } catch (error) {
        onError(error);
        return owe(ticket, facts);
      }
    },
    async markSequences(marks) {
      const encoded = marks.map(({ productId, sequence }) => ({ productId, sequence: encodeNumber(sequence) }));
      await port.raiseMarkers(encoded, markerTtlMs);
    },
    setPolicyVersion: (policyVersion) => port.raisePolicyVersion(encodeNumber(policyVersion), makeGeneration()),
    newGeneration: () => port.replaceGeneration(makeGeneration()),
  };
}
