import { InfraError } from "../infra/exec.ts";
import { buildAssets, findAssets } from "./assets.ts";

/** Prints the folder with kube-apiserver and etcd, for KUBEBUILDER_ASSETS; builds them when there is none. */
try {
  console.log(findAssets() ?? (await buildAssets((line) => console.error(`envtest: ${line}`))));
} catch (error) {
  if (!(error instanceof InfraError)) throw error;
  console.error(`envtest: ${error.message}`);
  process.exitCode = 1;
}
