import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { HealthRegistry, HealthReport, Lifecycle } from "../lifecycle/index.ts";
import { collectProcessMetrics, registry } from "./registry.ts";

export type MetricsServerOptions = {
  /** 0 = any free port. */
  port: number;
  host?: string;
  health: HealthRegistry;
  lifecycle: Lifecycle;
  /** Further pages: path → what is answered, as JSON. */
  pages?: Readonly<Record<string, () => unknown>>;
};

/**
 * Serves /metrics, /livez, /readyz and /health on their own port, so that probes and scrapes neither pass the public
 * way in nor are counted as traffic. It is closed last when it is started first: readiness says "shutting down" meanwhile.
 */
export async function startMetricsServer(options: MetricsServerOptions): Promise<{ port: number }> {
  const { port, host = "127.0.0.1", health, lifecycle, pages = {} } = options;
  collectProcessMetrics();
  const server = createServer((request, response) => {
    void answer(pathOf(request.url), health, pages, response);
  });
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, host, resolve);
  await listening;
  lifecycle.defer("metrics server", async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  return { port: (server.address() as AddressInfo).port };
}

/** A target may be text that is no URL ("//"): it is a path that nothing is at, and must not end the process. */
function pathOf(target = "/"): string {
  return target.split(/[?#]/, 1)[0] ?? "/";
}

async function answer(
  path: string,
  health: HealthRegistry,
  pages: Readonly<Record<string, () => unknown>>,
  response: ServerResponse,
): Promise<void> {
  try {
    switch (path) {
      case "/metrics":
        response.writeHead(200, { "content-type": registry.contentType }).end(await registry.metrics());
        return;
      case "/livez":
        sendJson(response, ...healthAnswer(await health.liveness()));
        return;
      case "/readyz":
      case "/health":
        sendJson(response, ...healthAnswer(await health.readiness()));
        return;
      default: {
        const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
        if (page === undefined) sendJson(response, 404, { status: "not found" });
        else sendJson(response, 200, page());
      }
    }
  } catch {
    if (!response.headersSent) sendJson(response, 500, { status: "unhealthy" });
    else response.destroy();
  }
}

/** Status and body that a health report is answered with, here and on the public port. */
export function healthAnswer(report: HealthReport): [status: 200 | 503, body: Record<string, unknown>] {
  if (report.ready) return [200, { status: "healthy" }];
  const failing = Object.entries(report.checks).flatMap(([name, check]) => (check.ok ? [] : [[name, check.reason]]));
  return [503, { status: "unhealthy", failing: Object.fromEntries(failing) }];
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
