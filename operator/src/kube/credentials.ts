import type { RequestOptions } from "node:https";
import { Agent, type Dispatcher } from "@pricing-engine/chassis/http-client";
import type { KubeAccess } from "./access.ts";

/** Where the API server is and how we prove who we are. */
export interface Credentials {
  readonly server: string;
  get(): Promise<{ readonly headers: Readonly<Record<string, string>>; readonly dispatcher: Dispatcher }>;
  close(): Promise<void>;
}

/** Tokens of service accounts are rotated on disk; client-go looks as often. */
const readEveryMs = 60_000;

/**
 * The library's own way makes one agent, and with it one TLS handshake, for every single call. Here connections are
 * kept, and replaced when a certificate is.
 */
export function makeCredentials(config: KubeAccess): Credentials {
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error("the kubeconfig has no current cluster");
  let current: { headers: Record<string, string>; dispatcher: Dispatcher; tls: string; readAtMs: number } | undefined;
  let reading: Promise<NonNullable<typeof current>> | undefined;

  async function read(): Promise<NonNullable<typeof current>> {
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(options.headers ?? {})) headers[name] = String(value);
    if (typeof options.auth === "string")
      headers.Authorization = `Basic ${Buffer.from(options.auth).toString("base64")}`;
    const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
    const tls = Object.fromEntries(
      Object.entries({ ca, cert, key, pfx, passphrase, rejectUnauthorized, servername }).filter(
        ([, value]) => value !== undefined && value !== null,
      ),
    );
    const hash = JSON.stringify(tls);
    const readAtMs = performance.now();
    if (current?.tls === hash) return { ...current, headers, readAtMs };
    const before = current?.dispatcher;
    const proxyUrl = cluster?.proxyUrl;
    const dispatcher =
      proxyUrl === undefined
        ? new Agent({ connect: { ...tls, timeout: 10_000, keepAlive: true, keepAliveInitialDelay: 30_000 } })
        : new (await loadProxyAgent())({ uri: proxyUrl, requestTls: tls });
    // Waits for the watches that still run on it.
    before?.close().catch(() => undefined);
    return { headers, dispatcher, tls: hash, readAtMs };
  }

  return {
    server: cluster.server,
    async get() {
      if (current !== undefined && performance.now() - current.readAtMs < readEveryMs) return current;
      reading ??= read().finally(() => {
        reading = undefined;
      });
      current = await reading;
      return current;
    },
    async close() {
      await current?.dispatcher.destroy();
    },
  };
}

/** Only a kubeconfig can name a proxy. */
async function loadProxyAgent() {
  const { ProxyAgent } = await import("@pricing-engine/chassis/http-client/proxy-agent");
  return ProxyAgent;
}
