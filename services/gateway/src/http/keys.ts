import { AppError } from "@pricing-engine/chassis/errors";
import { type HttpEnv, parseBody, parseParams } from "@pricing-engine/chassis/http";
import { type KeyCreatedResponse, type KeyListResponse, keyRequest } from "@pricing-engine/contracts";
import type { Handler } from "hono";
import type { KeyStore, StoredKey } from "../adapters/key-store.ts";
import { managedTenant } from "../domain/access.ts";
import type { CreateKey } from "../usecases/create-key.ts";
import type { RevokeKey } from "../usecases/revoke-key.ts";
import { keyOperations } from "./operations.ts";

export function createKeyRoute(createKey: CreateKey): Handler<HttpEnv> {
  return async (c) => {
    const { key, ...stored } = await createKey(await parseBody(c, keyRequest), c.get("caller"));
    const body: KeyCreatedResponse = { ...renderKey(stored), key };
    return c.json(body, 201, { "cache-control": "no-store", location: `/api/v1/keys/${stored.keyId}` });
  };
}

export function listKeysRoute(store: KeyStore): Handler<HttpEnv> {
  return async (c) => {
    const body: KeyListResponse = { keys: (await store.list(managedTenant(c.get("caller")))).map(renderKey) };
    return c.json(body, 200);
  };
}

export function revokeKeyRoute(revokeKey: RevokeKey): Handler<HttpEnv> {
  return async (c) => {
    const { key_id } = parseParams(c, keyOperations.revokeKey.parameters);
    const outcome = await revokeKey(key_id, c.get("caller"));
    if (outcome === "unknown") throw new AppError("not_found", { detail: "there is no such key" });
    return c.body(null, 204);
  };
}

function renderKey({ keyId, tenant, role, createdAt }: StoredKey): KeyListResponse["keys"][number] {
  return { key_id: keyId, tenant, role, created_at: createdAt.toISOString() };
}
