import { LRUCache } from "lru-cache";
import { compilePolicy } from "../domain/compile-policy.ts";
import type { Policy } from "../domain/policy.ts";
import type { SignalTtl } from "../domain/types.ts";
import type { On } from "./on-postgres.ts";
import { getPolicy } from "./policy-store.ts";

export interface CompiledPolicy {
  readonly version: number;
  readonly policy: Policy;
  readonly signalTtlMs: SignalTtl;
}

/** The compiled policies of this process. Versions are immutable, so what is here is never stale. */
export interface CompiledPolicies {
  get(on: On, version: number): Promise<CompiledPolicy>;
}

export function makeCompiledPolicies(): CompiledPolicies {
  const known = new LRUCache<number, CompiledPolicy>({ max: 8 });
  return {
    async get(on, version) {
      const cached = known.get(version);
      if (cached !== undefined) return cached;
      const stored = await getPolicy(on, version);
      const compiled = compilePolicy(stored.policy);
      if (!compiled.ok) {
        // It compiled before it was stored: this process is older than the one that stored it.
        throw new Error(`policy ${version} does not compile here: ${compiled.errors[0]?.message}`);
      }
      const entry = { version, policy: compiled.policy, signalTtlMs: stored.signalTtlMs };
      known.set(version, entry);
      return entry;
    },
  };
}
