import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeLogger } from "@pricing-engine/chassis/log";
import { type EngineSettings, engineSettingsSchema } from "@pricing-engine/contracts";
import { makeRedis, type SettingsDocument, settingsKey } from "@pricing-engine/redis";
import { eventually, infra, makeTestPrefix } from "@pricing-engine/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeLiveSettings } from "../src/controllers/live-settings.ts";
import { unknownVerdict, type Verdict } from "../src/core/failover.ts";
import { makeSettingsWriter } from "../src/runtime/local/settings-writer.ts";

const settings = engineSettingsSchema.parse({});
const prefix = makeTestPrefix();
const redis = makeRedis({ url: infra().redisUrl, logger: makeLogger({ name: "test", level: "fatal" }) });
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pe-settings-"));
  await eventually(() => expect(redis.isAvailable()).toBe(true));
});
afterEach(async () => {
  await redis.client.del(settingsKey(prefix));
  await redis.close();
  await rm(folder, { recursive: true, force: true });
});

test("a probe that finds what the last one found renews the advice in Redis, and is no new revision", async () => {
  const file = join(folder, "settings.json");
  const writer = makeSettingsWriter({ file, prefix, redis, nowMs: () => 1_000_000 });
  const healthy: Verdict = { ...unknownVerdict(1), state: "Healthy" };
  let verdicts = { default: healthy, fallback: healthy };
  const write = makeLiveSettings({
    runtime: { applySettings: (live, hash) => writer.write(live, hash) },
    plan: () => ({ settings, settingsHash: "as it was" }),
    verdicts: () => verdicts,
  });
  async function written() {
    await write();
    const text = (await redis.client.get(settingsKey(prefix))) ?? "";
    return { document: JSON.parse(text) as SettingsDocument<EngineSettings>, inFile: await readFile(file, "utf8") };
  }

  const first = await written();
  expect(first.document).toMatchObject({ revision: 1, renewal: 0 });
  expect(JSON.parse(first.inFile)).toEqual(first.document);
  const { mtimeMs } = await stat(file);
  for (const renewal of [1, 2]) {
    verdicts = { ...verdicts, default: { ...healthy, checkedAtMs: 10 + renewal, minResponseTimeMs: renewal } };
    const { document } = await written();
    expect(document).toMatchObject({ revision: 1, renewal });
    expect(document.settings.payment.verdicts.default.checkedAtMs).toBe(10 + renewal);
  }
  // For processes that start, it would be out of date anyway.
  expect((await stat(file)).mtimeMs).toBe(mtimeMs);
  expect(await written()).toMatchObject({ document: { revision: 1, renewal: 2 }, inFile: first.inFile });

  verdicts = { ...verdicts, fallback: { ...healthy, state: "Down", checkedAtMs: 20 } };
  const { document, inFile } = await written();
  expect(document).toMatchObject({ revision: 2, renewal: 0 });
  expect(JSON.parse(inFile)).toEqual(document);
});
