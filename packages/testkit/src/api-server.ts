import { randomBytes } from "node:crypto";
import { type ApiServerAccess, makeApiCaller } from "@pricing-engine/hack/envtest";
import { inject } from "vitest";

declare module "vitest" {
  export interface ProvidedContext {
    apiServer: ApiServerAccess;
  }
}

/** The kube-apiserver that the global setup of the `operator` project started. */
export function apiServer(): ApiServerAccess {
  return inject("apiServer");
}

/** No controller runs that could empty a namespace: it and what is in it go with the server, at the end of the run. */
export async function makeTestNamespace(): Promise<string> {
  const api = makeApiCaller(apiServer());
  const name = `test-${randomBytes(6).toString("hex")}`;
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name } };
  const { status, body } = await api.call("POST", "/api/v1/namespaces", namespace);
  api.close();
  if (status !== 201) throw new Error(`no namespace: ${body.message}`);
  return name;
}
