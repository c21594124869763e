import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { type EngineSettings, engineSettingsSchema } from "@pricing-engine/contracts";
import { type GuardedRedis, type SettingsDocument, watchSettings } from "@pricing-engine/redis";
import type { ApplySettings } from "../usecases/apply-settings.ts";

export interface LiveSettings {
  current(): EngineSettings;
}

const retryMs = 1_000;

/**
 * Follows the live settings and brings their policy into force. A document that could not be applied, because Postgres was away, is
 * tried again until it is, or until a newer one takes its place.
 */
export async function followSettings(options: {
  redis: GuardedRedis;
  prefix: string;
  file: string | undefined;
  applySettings: ApplySettings;
  logger: Logger;
  lifecycle: Lifecycle;
}): Promise<LiveSettings> {
  const { applySettings, logger, lifecycle } = options;
  let pending: SettingsDocument<EngineSettings> | undefined;
  let applying = false;

  async function applyPending(): Promise<void> {
    if (applying) return;
    applying = true;
    try {
      while (pending !== undefined) {
        const document = pending;
        await applySettings({ ...document, pricing: document.settings.pricing });
        if (pending === document) pending = undefined;
      }
    } catch (error) {
      logger.warn({ err: error }, "the policy is not in force yet, trying again");
    } finally {
      applying = false;
    }
  }

  const timer = setInterval(() => void applyPending(), retryMs);
  lifecycle.defer("settings follower", () => clearInterval(timer));
  return watchSettings({
    ...options,
    schema: engineSettingsSchema,
    onChange: async (settings, document) => {
      logger.level = settings.telemetry.logLevel;
      pending = document;
      await applyPending();
    },
  });
}
