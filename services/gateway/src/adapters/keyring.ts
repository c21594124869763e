import { LRUCache } from "lru-cache";
import type { Caller } from "../domain/access.ts";
import { hashKey } from "./hash-key.ts";

/*
 * What this process knows of a key, by the age of its last look at Postgres:
 *
 *   unknown ──look──▶ fresh (< 1 s) ──▶ due (a use looks again, meanwhile it counts) ──1.5 s──▶ old (a use waits)
 *
 * So a revocation reaches every replica in less than 2 s. While Postgres is away an old answer counts for up to an
 * hour: reads go on. That a key is not known is remembered for as long as fresh, so guesses cost Postgres little.
 */
const freshMs = 1_000;
const oldMs = 1_500;
const outageGraceMs = 3_600_000;
const maxKnownKeys = 10_000;

type Known = { caller: Caller | undefined; seenMs: number };

export type Keyring = {
  /** The caller when that can be told without asking Postgres; undefined: use `find`. */
  findKnown(key: string): Caller | undefined;
  /** Undefined for a wrong or revoked key. @throws AppError postgres_unavailable */
  find(key: string): Promise<Caller | undefined>;
  forget(hash: string): void;
};

export function makeKeyring(deps: {
  /** Looks in Postgres, by hash. */
  look: (hash: string) => Promise<Caller | undefined>;
  isOutage: (error: unknown) => boolean;
  /** The first admin key; always valid. */
  adminKey?: string | undefined;
  /** Monotonic clock, milliseconds. */
  now: () => number;
}): Keyring {
  const { look, isOutage, now } = deps;
  const adminHash = deps.adminKey === undefined ? undefined : hashKey(deps.adminKey);
  const admin: Caller = { tenant: "default", role: "admin", everyTenant: true };
  const known = new LRUCache<string, Known>({ max: maxKnownKeys });
  const looks = new Map<string, Promise<Known>>();

  function refresh(hash: string): Promise<Known> {
    const running = looks.get(hash);
    if (running !== undefined) return running;
    // The age counts from before the question, since the answer may be older than its arrival.
    const seenMs = now();
    const started = look(hash)
      .then((caller) => {
        const entry = { caller, seenMs };
        if (looks.get(hash) === started) known.set(hash, entry);
        return entry;
      })
      .finally(() => {
        if (looks.get(hash) === started) looks.delete(hash);
      });
    looks.set(hash, started);
    return started;
  }

  return {
    findKnown(key) {
      const hash = hashKey(key);
      if (hash === adminHash) return admin;
      const entry = known.get(hash);
      if (entry?.caller === undefined) return undefined;
      const ageMs = now() - entry.seenMs;
      if (ageMs >= oldMs) return undefined;
      if (ageMs >= freshMs) refresh(hash).catch(() => undefined);
      return entry.caller;
    },
    async find(key) {
      const hash = hashKey(key);
      if (hash === adminHash) return admin;
      const entry = known.get(hash);
      if (entry !== undefined && now() - entry.seenMs < freshMs) return entry.caller;
      try {
        return (await refresh(hash)).caller;
      } catch (error) {
        const counts = entry?.caller !== undefined && now() - entry.seenMs < outageGraceMs;
        if (counts && isOutage(error)) return entry.caller;
        throw error;
      }
    },
    forget(hash) {
      known.delete(hash);
      looks.delete(hash);
    },
  };
}
