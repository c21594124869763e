import { requireAssets, startApiServer } from "@pricing-engine/hack/envtest";
import type { TestProject } from "vitest/node";

/** One kube-apiserver and etcd for the whole run; each test has a namespace of its own. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const log = (line: string): void => console.log(`envtest: ${line}`);
  // Nobody has rights until a test gives some: for what the operator does when it is refused.
  const { access, stop } = await startApiServer({ assets: requireAssets(), users: ["nobody"], log });
  project.provide("apiServer", access);
  return stop;
}
