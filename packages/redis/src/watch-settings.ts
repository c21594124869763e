import { readFile } from "node:fs/promises";
import { AppError } from "@pricing-engine/chassis/errors";
import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { z } from "zod";
import type { GuardedRedis } from "./make-redis.ts";
import { isRedisOutage } from "./make-redis.ts";
import { type SettingsDocument, settingsKey } from "./push-settings.ts";

type Listener<Settings> = (settings: Settings, document: SettingsDocument<Settings>) => void | Promise<void>;

export type WatchSettingsOptions<Schema extends z.ZodType> = {
  redis: GuardedRedis;
  prefix: string;
  /** Live settings to start from; without one the process waits for Redis. */
  file?: string | undefined;
  /** Schema of `settings` (not of the document around it). */
  schema: Schema;
  /** Called for every newer revision that is valid; the first one included. A throw is logged. */
  onChange?: Listener<z.output<Schema>>;
  /** Called when the revision in force is said once more. Without it renewals pass by, and what is in force stays as it came. */
  onRenewal?: Listener<z.output<Schema>>;
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

const count = z.int().nonnegative();
const envelopeSchema = z.object({ epoch: count, revision: count, renewal: count.default(0), settings: z.unknown() });
type Envelope = z.output<typeof envelopeSchema>;

/**
 * Follows the live settings: the file first, then Redis on connect, on every message, and every `pollMs`. Only a newer
 * (epoch, revision, renewal) is applied; an invalid document is logged once and ignored, and the last good one stays.
 * Resolves with the first valid document; rejects when the lifecycle ends before there is one.
 */
export async function watchSettings<Schema extends z.ZodType>(
  options: WatchSettingsOptions<Schema>,
): Promise<SettingsWatch<z.output<Schema>>> {
  const { redis, prefix, file, schema, onChange, onRenewal, logger, lifecycle, pollMs = 1_000 } = options;
  const key = settingsKey(prefix);
  const first = Promise.withResolvers<void>();
  let inForce: (Envelope & SettingsDocument<z.output<Schema>>) | undefined;
  let lastText: string | undefined;

  function apply(text: string, source: "file" | "redis"): void {
    if (text === lastText) return;
    lastText = text;
    const envelope = parseEnvelope(text);
    if (!envelope.success) {
      refuse(source, envelope.problem);
      return;
    }
    const news = compare(envelope.data, inForce);
    const listener = news === "renewed" ? onRenewal : onChange;
    if (news === "known" || (news === "renewed" && listener === undefined)) return;
    const settings = schema.safeParse(envelope.data.settings);
    if (!settings.success) {
      refuse(source, z.prettifyError(settings.error));
      return;
    }
    inForce = { ...envelope.data, settings: settings.data };
    // Renewals come several times a minute and say nothing new.
    if (news !== "renewed") {
      logger.info({ source, epoch: inForce.epoch, revision: inForce.revision }, "live settings in force");
    }
    void notify(listener, inForce);
    first.resolve();
  }

  function refuse(source: "file" | "redis", problem: string): void {
    logger.error({ source, problem }, "live settings refused, the last good ones stay");
  }

  async function notify(
    listener: Listener<z.output<Schema>> | undefined,
    document: SettingsDocument<z.output<Schema>>,
  ): Promise<void> {
    try {
      await listener?.(document.settings, document);
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

/** What a document is to the one in force. */
function compare(found: Envelope, known: Envelope | undefined): "newer" | "renewed" | "known" {
  if (known === undefined) return "newer";
  if (found.epoch !== known.epoch) return found.epoch > known.epoch ? "newer" : "known";
  if (found.revision !== known.revision) return found.revision > known.revision ? "newer" : "known";
  return found.renewal > known.renewal ? "renewed" : "known";
}

type Parsed = { success: true; data: Envelope } | { success: false; problem: string };

function parseEnvelope(text: string): Parsed {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { success: false, problem: "not JSON" };
  }
  const envelope = envelopeSchema.safeParse(json);
  return envelope.success ? envelope : { success: false, problem: z.prettifyError(envelope.error) };
}
