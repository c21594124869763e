import { randomBytes } from "node:crypto";
import { AppError } from "@pricing-engine/chassis/errors";
import type { KeyRequest } from "@pricing-engine/contracts";
import { uuidv7 } from "uuidv7";
import { hashKey } from "../adapters/hash-key.ts";
import type { KeyStore, StoredKey } from "../adapters/key-store.ts";
import { type Caller, managedTenant } from "../domain/access.ts";

export type CreateKey = (request: KeyRequest, caller: Caller) => Promise<StoredKey & { key: string }>;

/** Makes a key. It is returned this once; the store keeps its hash. */
export function makeCreateKey({ store }: { store: KeyStore }): CreateKey {
  return async ({ tenant, role }, caller) => {
    const own = managedTenant(caller);
    if (own !== undefined && own !== tenant)
      throw new AppError("forbidden", { detail: `this key is of tenant ${own}` });
    const key = `pe_${randomBytes(32).toString("base64url")}`;
    const stored = await store.insert({ keyId: uuidv7(), tenant, role, hash: hashKey(key) });
    return { ...stored, key };
  };
}
