import { createHmac } from "node:crypto";
import { Agent, request } from "@pricing-engine/chassis/http-client";
import type { Logger } from "@pricing-engine/chassis/log";

export interface Notification {
  /** The same on each delivery. */
  readonly id: string;
  readonly type: "order.fulfilled";
  readonly timestamp: string;
  readonly data: Readonly<Record<string, string>>;
}

export type Delivery = { readonly kind: "delivered" } | { readonly kind: "failed"; readonly reason: string };

export interface Notifier {
  notify(notification: Notification): Promise<Delivery>;
  close(): Promise<void>;
}

const timeoutMs = 5_000;

/** Notifications of an engine that names nobody to tell. */
export function makeLogNotifier(logger: Pick<Logger, "info">): Notifier {
  return {
    async notify({ id, type }) {
      logger.info({ orderId: id, type }, "notification");
      return { kind: "delivered" };
    },
    close: async () => undefined,
  };
}

/**
 * Posts to a webhook, signed as standardwebhooks.com says: HMAC-SHA-256 over `<id>.<timestamp>.<body>`, so a receiver can tell who
 * calls, that it is not an old call repeated, and (by the id) that it knows it already.
 */
export function makeWebhookNotifier({ url, token }: { url: string; token: string | undefined }): Notifier {
  const agent = new Agent({ connect: { timeout: timeoutMs }, connections: 32 });
  return {
    async notify(notification) {
      const body = JSON.stringify(notification);
      const seconds = String(Math.floor(Date.now() / 1000));
      try {
        const answer = await request(url, {
          dispatcher: agent,
          method: "POST",
          headers: {
            "content-type": "application/json",
            "webhook-id": notification.id,
            "webhook-timestamp": seconds,
            ...(token === undefined ? {} : { "webhook-signature": sign(token, notification.id, seconds, body) }),
          },
          body,
          headersTimeout: timeoutMs,
          bodyTimeout: timeoutMs,
        });
        await answer.body.dump();
        if (answer.statusCode >= 200 && answer.statusCode < 300) return { kind: "delivered" };
        return { kind: "failed", reason: `the webhook answered ${answer.statusCode}` };
      } catch (error) {
        const code = error instanceof Error && "code" in error ? String(error.code) : "no answer";
        return { kind: "failed", reason: `the webhook cannot be reached: ${code}` };
      }
    },
    close: () => agent.close(),
  };
}

export function sign(token: string, id: string, seconds: string, body: string): string {
  return `v1,${createHmac("sha256", secretOf(token)).update(`${id}.${seconds}.${body}`).digest("base64")}`;
}

/** Secrets for webhooks are written as base64 after a prefix; any other text is taken as it is. */
function secretOf(token: string): Buffer {
  const prefix = "whsec_";
  return token.startsWith(prefix) ? Buffer.from(token.slice(prefix.length), "base64") : Buffer.from(token);
}
