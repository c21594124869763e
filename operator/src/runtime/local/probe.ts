import { get } from "node:http";

/** `silent`: nothing answered, which a process that hangs looks like. */
export type ProbeResult =
  | { readonly kind: "ready" }
  | { readonly kind: "unready"; readonly reason: string }
  | { readonly kind: "silent"; readonly reason: string };

/** Asks `/readyz` on the metrics port of a process. */
export function probeReadiness(port: number, timeoutMs: number): Promise<ProbeResult> {
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  const request = get({ host: "127.0.0.1", port, path: "/readyz", agent: false, timeout: timeoutMs }, (response) => {
    let body = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      if (body.length < 2048) body += chunk;
    });
    response.once("error", (error) => resolve({ kind: "silent", reason: error.message }));
    response.once("end", () => {
      if (response.statusCode === 200) resolve({ kind: "ready" });
      else resolve({ kind: "unready", reason: describeBody(body, response.statusCode ?? 0) });
    });
  });
  request.once("timeout", () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)));
  request.once("error", (error) => resolve({ kind: "silent", reason: error.message }));
  return promise;
}

/** Readiness names the part that is not ready: `{status, checks: {kafka: "…"}}` in short. */
function describeBody(body: string, status: number): string {
  return body.trim() === "" ? `/readyz answers ${status}` : body.trim().slice(0, 300);
}
