import type { KeyCreatedResponse } from "@pricing-engine/contracts";
import { eventually } from "@pricing-engine/testkit";
import { request } from "undici";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Answer } from "../support/client.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { type Operation, readOperations } from "../support/openapi.ts";
import { findContractFault } from "../support/problem.ts";

let engine: Engine;
let operations: readonly Operation[];

beforeAll(async () => {
  engine = await startEngine({ gateway: { auth: "apiKey" }, replicas: { gateway: 2 } });
  operations = await readOperations(engine.url);
});
afterAll(() => engine?.[Symbol.asyncDispose]());

function callAs(key: string | undefined, { method, target, contentType, variants }: Operation): Promise<Answer> {
  const raw = variants.length === 0 ? {} : { raw: JSON.stringify(variants[0]) };
  const headers = { "content-type": contentType, authorization: key === undefined ? "" : `Bearer ${key}` };
  return engine.client.call(method, target, { ...raw, headers });
}

async function createKey(role: string): Promise<KeyCreatedResponse> {
  const answer = await engine.client.call("POST", "/api/v1/keys", { json: { tenant: "acme", role } });
  expect([answer.status, answer.text]).toEqual([201, expect.any(String)]);
  return answer.body as KeyCreatedResponse;
}

const ranks = ["reader", "writer", "admin"];

it("lets each key do what its role may, on every call, and refuses all others", async () => {
  const guarded = operations.filter(({ role }) => role !== undefined);
  expect(guarded.length).toBeGreaterThanOrEqual(14);
  const keys = {
    reader: await createKey("reader"),
    writer: await createKey("writer"),
    admin: await createKey("admin"),
  };
  const wrong: string[] = [];
  for (const operation of guarded) {
    for (const key of [undefined, "pe_wrong", "ünsound"]) {
      const answer = await callAs(key === undefined ? key : encodeURIComponent(key), operation);
      const fault = answer.status === 401 ? findContractFault(answer) : `got ${answer.status}`;
      if (fault !== undefined || answer.headers["www-authenticate"] !== "Bearer")
        wrong.push(`${operation.name}: ${fault}`);
    }
    for (const [role, { key }] of Object.entries(keys)) {
      const answer = await callAs(key, operation);
      const mayCall = ranks.indexOf(role) >= ranks.indexOf(operation.role ?? "");
      const fault = mayCall ? undefined : findContractFault(answer);
      const isRefused = answer.status === 401 || answer.status === 403;
      if (isRefused === mayCall || fault !== undefined || answer.status >= 500)
        wrong.push(`${operation.name} as ${role}: ${answer.status} ${fault ?? ""}`);
    }
  }
  expect(wrong).toEqual([]);
});

it("keeps documents and probes open to everybody", async () => {
  for (const path of ["/openapi.json", "/docs", "/health", "/livez", "/readyz"]) {
    const answer = await request(engine.url + path);
    await answer.body.dump();
    expect([path, answer.statusCode]).toEqual([path, 200]);
  }
});

it("shows a key once, keeps its hash alone, and lists it without", async () => {
  const { key, key_id: keyId } = await createKey("reader");
  const list = await engine.client.call("GET", "/api/v1/keys");
  expect(list.text).toContain(keyId);
  expect(list.text).not.toContain(key);
  const rows = await engine.sql<{ row: string }[]>`select to_jsonb(k)::text as row from gateway.api_keys k`;
  expect(rows.some(({ row }) => row.includes(keyId))).toBe(true);
  expect(rows.filter(({ row }) => row.includes(key))).toEqual([]);
});

it("refuses a revoked key at every gateway in less than 2 s, cached prices included", async () => {
  await engine.client.put("guarded");
  const { key, key_id: keyId } = await createKey("reader");
  const read = () =>
    engine.client.call("POST", "/api/v1/price", {
      json: { product_id: "guarded" },
      headers: { authorization: `Bearer ${key}` },
    });
  // Over enough connections that every gateway has met the key.
  const warm = await Promise.all(Array.from({ length: 60 }, read));
  expect(new Set(warm.map(({ status }) => status))).toEqual(new Set([200]));

  expect((await engine.client.call("DELETE", `/api/v1/keys/${keyId}`)).status).toBe(204);
  const revokedMs = performance.now();
  // When the last request was sent that was served, and when no more such answers came: on a busy machine an answer takes long.
  let lastServedMs = revokedMs;
  let quietSinceMs = revokedMs;
  const send = async () => ({ sentMs: performance.now(), ...(await read()) });
  await eventually(
    async () => {
      const answers = await Promise.all(Array.from({ length: 40 }, send));
      const served = answers.filter(({ status }) => status === 200);
      if (served.length > 0) quietSinceMs = performance.now();
      lastServedMs = Math.max(lastServedMs, ...served.map(({ sentMs }) => sentMs));
      // Gone for good: for longer than any gateway may remember.
      return performance.now() - quietSinceMs > 2_500;
    },
    { timeoutMs: 60_000, intervalMs: 50 },
  );
  expect(lastServedMs - revokedMs).toBeLessThan(2_000);
});
