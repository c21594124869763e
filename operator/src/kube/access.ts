/**
 * Where the API server is and how we prove who we are: in a pod its service account, elsewhere what `KUBECONFIG` says. Reading a
 * kubeconfig is the library's; a pod needs none of it, and to load it takes 10 MB for good.
 */
import { existsSync, readFileSync } from "node:fs";
import type { RequestOptions } from "node:https";
import { join } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";

export interface KubeAccess {
  getCurrentCluster(): Pick<NonNullable<ReturnType<KubeConfig["getCurrentCluster"]>>, "server" | "proxyUrl"> | null;
  /** Puts certificates and headers into the options, as they are now: tokens are rotated on disk. */
  applyToHTTPSOptions(options: RequestOptions): Promise<void>;
}

const serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

/** `SERVICE_ACCOUNT_FOLDER`: where token and authority are, if not where Kubernetes mounts them by itself. */
export async function loadKubeAccess(env: Readonly<Record<string, string | undefined>>): Promise<KubeAccess> {
  const { SERVICE_ACCOUNT_FOLDER: folder = serviceAccountFolder } = env;
  const { KUBECONFIG, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = env;
  if (KUBECONFIG === undefined && host !== undefined && existsSync(join(folder, "token"))) {
    return inPod(`https://${host.includes(":") ? `[${host}]` : host}:${port}`, folder);
  }
  const { loadKubeconfig } = await import("./kubeconfig.ts");
  return loadKubeconfig();
}

function inPod(server: string, folder: string): KubeAccess {
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  return {
    getCurrentCluster: () => ({ server }),
    async applyToHTTPSOptions(options) {
      options.ca = read("ca.crt");
      options.headers = { ...options.headers, Authorization: `Bearer ${read("token").trim()}` };
    },
  };
}
