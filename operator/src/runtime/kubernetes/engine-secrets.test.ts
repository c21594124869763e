import { rootCertificates } from "node:tls";
import { expect, test } from "vitest";
import { parseObject } from "../../api/parse.ts";
import { apiVersion, kind } from "../../api/resource.ts";
import type { KubeObject } from "../../kube/types.ts";
import { readEngineSecrets } from "./engine-secrets.ts";

const sasl = { mechanism: "scram-sha-512", secretRef: { name: "login" } };
const spec = {
  kafka: { brokers: ["a:9092", "b:9092"], tls: true, caSecretRef: { name: "ca" }, sasl },
  postgres: { primary: { secretRef: { name: "db" } } },
  redis: { secretRef: { name: "redis" } },
};
const ca = (rootCertificates[0] ?? "").trim();
const all = {
  db: { url: "postgres://db/shop" },
  redis: { url: "redis://redis" },
  ca: { "ca.crt": `${ca}\n` },
  login: { username: "engine", password: "c0rrect\n" },
};

function read(
  secrets: Readonly<Record<string, Readonly<Record<string, string>>>>,
  own: "ensured" | "left-alone" = "left-alone",
) {
  const parsed = parseObject({ apiVersion, kind, metadata: { name: "shop" }, spec: { ...spec, gateway: {} } });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const find = async (_type: unknown, name: string): Promise<KubeObject | undefined> =>
    secrets[name] && {
      ...{ apiVersion: "v1", kind: "Secret", metadata: { name } },
      data: Object.fromEntries(
        Object.entries(secrets[name]).map(([key, value]) => [key, Buffer.from(value).toString("base64")]),
      ),
    };
  const refuse = () => Promise.reject(new Error("nothing is written"));
  return readEngineSecrets({ find, create: refuse, apply: refuse }, { resource: parsed.resource, uid: "1" }, own);
}

test("the operator gets into Kafka by what the Secrets say", async () => {
  expect(await read(all)).toMatchObject({
    kind: "present",
    kafka: {
      brokers: ["a:9092", "b:9092"],
      tls: { ca },
      sasl: { mechanism: "scram-sha-512", username: "engine", password: "c0rrect" },
    },
  });
});

test("another password is another hash: pods that read it at their start are rolled", async () => {
  const hashes = await Promise.all(
    [all, all, { ...all, login: { ...all.login, password: "an0ther" } }].map(async (secrets) => {
      const found = await read(secrets);
      return found.kind === "present" ? found.hash : undefined;
    }),
  );
  expect(hashes[1]).toBe(hashes[0]);
  expect(hashes[2]).not.toBe(hashes[0]);
});

test("what is missing for Kafka is said by Secret and key, without a value", async () => {
  const { login: _1, ca: _2, ...rest } = all;
  expect(await read(rest)).toEqual({ kind: "missing", problems: ["Secret ca is missing", "Secret login is missing"] });
  expect(await read({ ...all, login: { username: "engine", secret: "c0rrect" } })).toEqual({
    kind: "missing",
    problems: ["Secret login has no password"],
  });
  expect(await read({ ...all, ca: { "ca.crt": "c0rrect" } })).toEqual({
    kind: "missing",
    problems: ["Secret ca: ca.crt is no certificate in PEM"],
  });
});

test("a Secret by the name of an engine's own is taken when it can be used, and told of when not", async () => {
  const keys = { keys: [{ id: "a", secret: Buffer.alloc(32).toString("base64") }] };
  const good = { "shop-signing": { "keys.json": JSON.stringify(keys) }, "shop-admin-key": { token: "secret" } };
  expect(await read({ ...all, ...good }, "ensured")).toMatchObject({ kind: "present" });
  expect(await read({ ...all, ...good, "shop-signing": { password: "c0rrect" } }, "ensured")).toEqual({
    kind: "missing",
    problems: ["Secret shop-signing: keys.json is missing"],
  });
  expect(await read({ ...all, ...good, "shop-admin-key": { key: "c0rrect" } }, "ensured")).toEqual({
    kind: "missing",
    problems: ["Secret shop-admin-key has no token"],
  });
});
