import { KubeConfig } from "@kubernetes/client-node";
import { kubeconfigOf } from "@pricing-engine/hack/envtest";
import { apiServer, type HttpFaultProxy, startHttpFaultProxy } from "@pricing-engine/testkit";
import { type Kube, makeKube } from "../../src/kube/client.ts";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import type { KubeObject } from "../../src/kube/types.ts";

export interface TestKubeOptions {
  /** A proxy's. */
  readonly url?: string;
  readonly user?: string;
  readonly requestTimeoutMs?: number;
}

export function makeTestKube({ requestTimeoutMs, ...where }: TestKubeOptions = {}): Kube & AsyncDisposable {
  const config = new KubeConfig();
  config.loadFromString(kubeconfigOf(apiServer(), where));
  const kube = makeKube({ config, ...(requestTimeoutMs === undefined ? {} : { requestTimeoutMs }) });
  return { ...kube, [Symbol.asyncDispose]: () => kube.close() };
}

/** In the path to the API server, in its name. */
export function startKubeProxy(): Promise<HttpFaultProxy> {
  const { url, certificatePem, keyPem, caPem } = apiServer();
  return startHttpFaultProxy({ target: url, certificatePem, keyPem, caPem });
}

export const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export function aConfigMap(namespace: string, name: string, data: Record<string, string> = {}): KubeObject {
  const { apiVersion, kind } = resourceTypes.configMaps;
  return { apiVersion, kind, metadata: { name, namespace, labels: { app: "test" } }, data };
}

export function aDeployment(namespace: string, name: string, image = "example/app:1"): KubeObject {
  const { apiVersion, kind } = resourceTypes.deployments;
  return {
    apiVersion,
    kind,
    metadata: { name, namespace },
    spec: {
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: "app", image, ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }] }] },
      },
    },
  };
}
