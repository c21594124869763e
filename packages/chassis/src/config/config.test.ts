import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { findDuration, parseDuration } from "./duration.ts";
import { completeKafka, engineConfig } from "./engine-config.ts";
import { ConfigError, loadConfig, redactConfig } from "./load-config.ts";

describe("durations", () => {
  it.each([
    ["0", 0],
    ["60s", 60_000],
    ["1h30m", 5_400_000],
    ["1.5s", 1_500],
    ["250ms", 250],
    ["168h", 604_800_000],
    ["1h0m0s", 3_600_000],
    ["500us", 1],
  ])("%s is %d ms", (text, durationMs) => {
    expect(parseDuration(text)).toBe(durationMs);
  });

  it.each([
    "",
    "5",
    "s",
    "-1s",
    "1 s",
    "1d",
    "1h 30m",
    "1.s",
    ".5s",
    "1e3s",
    "1hs",
    `${"9".repeat(400)}h`,
    "99999999h",
    "1h\n",
  ])("%j is none", (text) => {
    expect(findDuration(text)).toBeUndefined();
    expect(() => parseDuration(text)).toThrow(RangeError);
  });

  it("adds up its parts", () => {
    const part = fc.integer({ min: 0, max: 59 });
    fc.assert(
      fc.property(part, part, part, (h, m, s) => parseDuration(`${h}h${m}m${s}s`) === ((h * 60 + m) * 60 + s) * 1_000),
    );
  });
});

describe("loadConfig", () => {
  const schema = z.object({
    ...engineConfig.identity,
    ...engineConfig.kafka,
    ...engineConfig.postgres,
    ...engineConfig.http,
  });

  it("names every problem at once and repeats no value", () => {
    const env = { KAFKA_BROKERS: "s3cret", POSTGRES_URL: "mysql://u:s3cret@h/d", HTTP_PORT: "70000" };
    const error = catching(() => loadConfig(schema, env));
    expect(error).toBeInstanceOf(ConfigError);
    for (const name of ["ENGINE_NAME: is required", "KAFKA_BROKERS", "POSTGRES_URL", "HTTP_PORT"]) {
      expect(error.message).toContain(name);
    }
    expect(error.message).not.toContain("s3cret");
  });

  it("takes an empty variable for an absent one", () => {
    const env = { ENGINE_NAME: "shop", KAFKA_BROKERS: "a:1, b:2", POSTGRES_URL: "postgres://h/d", HTTP_PORT: "" };
    expect(loadConfig(schema, env)).toMatchObject({
      KAFKA_BROKERS: ["a:1", "b:2"],
      HTTP_PORT: 0,
      POSTGRES_POOL_SIZE: 10,
    });
  });

  describe("of Kafka", () => {
    const kafka = z.object(engineConfig.kafka).superRefine(completeKafka);
    const brokers = { KAFKA_BROKERS: "a:1" };
    const ca = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";

    it("asks for nothing where nothing is said", () => {
      expect(loadConfig(kafka, brokers)).toEqual({ KAFKA_BROKERS: ["a:1"], KAFKA_TLS: false });
    });

    it("takes TLS, an authority and credentials", () => {
      const access = { KAFKA_CA: ca, KAFKA_SASL_USERNAME: "u", KAFKA_SASL_PASSWORD: "p" };
      const env = { ...brokers, ...access, KAFKA_TLS: "true", KAFKA_SASL_MECHANISM: "scram-sha-512" };
      expect(loadConfig(kafka, env)).toEqual({ ...env, KAFKA_BROKERS: ["a:1"], KAFKA_TLS: true });
    });

    it.each([
      [{ KAFKA_TLS: "yes" }, ["KAFKA_TLS"]],
      [{ KAFKA_TLS: "true", KAFKA_CA: "s3cret" }, ["KAFKA_CA: must be certificates in PEM"]],
      [{ KAFKA_CA: ca }, ["KAFKA_TLS: is required"]],
      [{ KAFKA_CA: ca, KAFKA_TLS: "false" }, ["KAFKA_TLS: must be true with KAFKA_CA"]],
      [{ KAFKA_SASL_MECHANISM: "gssapi" }, ["KAFKA_SASL_MECHANISM"]],
      [{ KAFKA_SASL_MECHANISM: "plain" }, ["KAFKA_SASL_USERNAME: is required", "KAFKA_SASL_PASSWORD: is required"]],
      [{ KAFKA_SASL_USERNAME: "u", KAFKA_SASL_PASSWORD: "s3cret" }, ["KAFKA_SASL_MECHANISM: is required"]],
    ])("refuses %j", (env, problems) => {
      const error = catching(() => loadConfig(kafka, { ...brokers, ...env }));
      expect(error).toBeInstanceOf(ConfigError);
      for (const problem of problems) expect(error.message).toContain(problem);
      expect(error.message).not.toContain("s3cret");
    });
  });

  it.each(["t-1\n", "t-1\r\n", " t-1 "])("takes %j, of a Secret made from a file, without the line break", (value) => {
    expect(loadConfig(z.object({ TOKEN: z.string() }), { TOKEN: value })).toEqual({ TOKEN: "t-1" });
  });

  it("shows no secret when a config is printed", () => {
    const shown = JSON.stringify(
      redactConfig({
        REDIS_URL: "redis://:hunter2@h:1/0",
        ADMIN_KEY: "hunter2",
        ADMIN_KEY_FILE: "/etc/key",
        ENGINE_NAME: "shop",
      }),
    );
    expect(shown).not.toContain("hunter2");
    expect(shown).toContain("/etc/key");
    expect(shown).toContain("shop");
  });
});

function catching(fn: () => unknown): Error {
  try {
    fn();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("nothing was thrown");
}
