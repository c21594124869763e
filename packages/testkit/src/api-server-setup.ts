import { readFileSync } from "node:fs";
import { type ApiServerAccess, makeApiCaller, requireAssets, startApiServer } from "@pricing-engine/hack/envtest";
import type { TestProject } from "vitest/node";
import { eventually } from "./eventually.ts";

const crdFile = new URL("../../../crds/pricing-engine.dev_pricingengines.yaml", import.meta.url);

/** One kube-apiserver and etcd for the whole run; each test has a namespace of its own. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const log = (line: string): void => console.log(`envtest: ${line}`);
  // Both have the rights that a test gives them: for what the operator can do with its own, and when it is refused.
  const { access, stop } = await startApiServer({ assets: requireAssets(), users: ["nobody", "operator"], log });
  project.provide("apiServer", access);
  await installCrd(access).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return stop;
}

/** Once for the run: two files at once would both wait for the first to have it served. */
async function installCrd(access: ApiServerAccess): Promise<void> {
  const { call, close } = makeApiCaller(access);
  const yaml = { "content-type": "application/yaml" };
  const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const { body, status } = await call("POST", crds, readFileSync(crdFile, "utf8"), yaml);
  if (status !== 201) throw new Error(`no CustomResourceDefinition: ${body.message}`);
  const engines = "/apis/pricing-engine.dev/v1alpha1/pricingengines";
  await eventually(async () => (await call("GET", engines)).status === 200).finally(close);
}
