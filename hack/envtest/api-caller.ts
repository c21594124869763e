import { Agent, request } from "node:https";
import { text } from "node:stream/consumers";
import type { ApiServerAccess } from "./api-server.ts";

export interface ApiAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>> & { readonly message?: string };
}

/** Plain calls, beside the operator's own client: what tests arrange and look at. */
export interface ApiCaller {
  /** A body that is a string is sent as it is. */
  call(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<ApiAnswer>;
  /** What `kubectl get` shows of a list. */
  table(path: string): Promise<{ columns: readonly string[]; rows: readonly (readonly unknown[])[] }>;
  close(): void;
}

export function makeApiCaller({ url, token, caPem }: Pick<ApiServerAccess, "url" | "token" | "caPem">): ApiCaller {
  const agent = new Agent({ ca: caPem, keepAlive: true });
  const call: ApiCaller["call"] = (method, path, body, headers = {}) =>
    new Promise((resolve, reject) => {
      const all = {
        authorization: `Bearer ${token}`,
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      };
      const outgoing = request(new URL(path, url), { method, agent, headers: all }, (answer) => {
        text(answer).then(
          (content) =>
            resolve({
              status: answer.statusCode ?? 0,
              body: content.startsWith("{") ? JSON.parse(content) : { message: content },
            }),
          reject,
        );
      });
      outgoing.once("error", reject);
      outgoing.end(body === undefined || typeof body === "string" ? body : JSON.stringify(body));
    });
  return {
    call,
    async table(path) {
      const accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
      const { body } = await call("GET", path, undefined, { accept });
      const { columnDefinitions, rows } = body as unknown as {
        readonly columnDefinitions: readonly { readonly name: string }[];
        readonly rows: readonly { readonly cells: readonly unknown[] }[];
      };
      return { columns: columnDefinitions.map(({ name }) => name), rows: rows.map(({ cells }) => cells) };
    },
    close: () => agent.destroy(),
  };
}

/** For kubectl and for clients; JSON is YAML. `url` may be a proxy's, `user` one of the access' users. */
export function kubeconfigOf(
  access: ApiServerAccess,
  { url = access.url, user }: { readonly url?: string; readonly user?: string } = {},
): string {
  const token = user === undefined ? access.token : access.users[user];
  if (token === undefined) throw new Error(`no user ${user}`);
  const cluster = { server: url, "certificate-authority-data": Buffer.from(access.caPem).toString("base64") };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "envtest", cluster }],
    users: [{ name: "envtest", user: { token } }],
    contexts: [{ name: "envtest", context: { cluster: "envtest", user: "envtest" } }],
    "current-context": "envtest",
  });
}
