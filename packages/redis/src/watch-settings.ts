import { readFile } from "node:fs/promises";
import { AppError } from "@pricing-engine/chassis/errors";
import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { z } from "zod";
import type { GuardedRedis } from "./make-redis.ts";
import { isRedisOutage } from "./make-redis.ts";
import { type SettingsDocument, settingsKey } from "./push-settings.ts";

export type WatchSettingsOptions<Schema extends z.ZodType> = {
  redis: GuardedRedis;
  prefix: string;
  /** Live settings to start from; without one the process waits for Redis. */
  file?: string | undefined;
  /** Schema of `settings` (not of the document around it). */
  schema: Schema;
  /** Called for every newer valid document; the first one included. A throw is logged. */
  onChange?: (settings: z.output<Schema>, document: SettingsDocument<z.output<Schema>>) => void | Promise<void>;
  logger: Logger;
  lifecycle: Lifecycle;
  /** Milliseconds between looks at Redis, beside its messages. */
  pollMs?: number;
};

export type SettingsWatch<Settings> = {
  /** What is in force now. */
  current(): Settings;
  document(): SettingsDocument<Settings>;
};

const versionSchema = z.object({ epoch: z.int().nonnegative(), revision: z.int().nonnegative() });
const envelopeSchema = versionSchema.extend({ settings: z.unknown() });

/**
 * Follows the live settings: the file first, then Redis on connect, on every message, and every `pollMs`. Only a newer
 * (epoch, revision) is applied; an invalid document is logged once and ignored, and the last good one stays.
 * Resolves with the first valid document; rejects when the lifecycle ends before there is one.
 */
export async function watchSettings<Schema extends z.ZodType>(
  options: WatchSettingsOptions<Schema>,
): Promise<SettingsWatch<z.output<Schema>>> {
  const { redis, prefix, file, schema, onChange, logger, lifecycle, pollMs = 1_000 } = options;
  const key = settingsKey(prefix);
  const first = Promise.withResolvers<void>();
  let inForce: SettingsDocument<z.output<Schema>> | undefined;
  let lastText: string | undefined;

  function apply(text: string, source: "file" | "redis"): void {
    if (text === lastText) return;
    lastText = text;
    const parsed = parseDocument(text, schema);
    if (!parsed.ok) {
      logger.error({ source, problem: parsed.problem }, "live settings refused, the last good ones stay");
      return;
    }
    const { document } = parsed;
    if (inForce !== undefined && !isNewer(document, inForce)) return;
    inForce = document;
    logger.info({ source, epoch: document.epoch, revision: document.revision }, "live settings in force");
    void notify(document);
    first.resolve();
  }

  async function notify(document: SettingsDocument<z.output<Schema>>): Promise<void> {
    try {
      await onChange?.(document.settings, document);
    } catch (error) {
      logger.error({ err: error }, "live settings were not taken over everywhere");
    }
  }

  async function look(): Promise<void> {
    try {
      const text = await redis.guarded((client) => client.get(key));
      if (text !== null) apply(text, "redis");
    } catch (error) {
      // An outage is the connection's to report, once; the settings in force stay.
      if (!isRedisOutage(error)) logger.error({ err: error }, "cannot read live settings");
    }
  }

  if (file !== undefined) {
    try {
      apply(await readFile(file, "utf8"), "file");
    } catch (error) {
      logger.warn({ err: error, file }, "cannot read the settings file, waiting for Redis");
    }
  }

  const subscriber = redis.duplicate();
  subscriber.on("message", (channel: string, text: string) => {
    if (channel === key) apply(text, "redis");
  });
  subscriber.on("ready", () => {
    subscriber.subscribe(key).catch((error: unknown) => logger.debug({ err: error }, "cannot subscribe to settings"));
  });
  const poll = setInterval(() => void look(), pollMs);
  lifecycle.defer("settings watch", () => {
    clearInterval(poll);
    subscriber.disconnect();
  });
  lifecycle.signal.addEventListener("abort", () => first.reject(new AppError("unavailable")), { once: true });
  void look();
  await first.promise;

  const document = () => {
    if (inForce === undefined) throw new AppError("internal", { detail: "no live settings yet" });
    return inForce;
  };
  return { document, current: () => document().settings };
}

function isNewer(a: SettingsDocument, b: SettingsDocument): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.revision > b.revision);
}

type Parsed<Settings> = { ok: true; document: SettingsDocument<Settings> } | { ok: false; problem: string };

function parseDocument<Schema extends z.ZodType>(text: string, schema: Schema): Parsed<z.output<Schema>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, problem: "not JSON" };
  }
  const envelope = envelopeSchema.safeParse(json);
  if (!envelope.success) return { ok: false, problem: z.prettifyError(envelope.error) };
  const settings = schema.safeParse(envelope.data.settings);
  if (!settings.success) return { ok: false, problem: z.prettifyError(settings.error) };
  return { ok: true, document: { ...envelope.data, settings: settings.data } };
}
