import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheRoot } from "../infra/directory.ts";
import { exec, InfraError } from "../infra/exec.ts";
import { withLock } from "../infra/lock.ts";
import { findProgram } from "../infra/programs.ts";
import { withProgress } from "../infra/progress.ts";
import type { Log } from "../infra/types.ts";

const module = join(import.meta.dirname, "go");
const packages = {
  etcd: "go.etcd.io/etcd/server/v3",
  "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
} as const;

/** The folder with kube-apiserver and etcd: where `KUBEBUILDER_ASSETS` points, as with envtest, else what we built. */
export function findAssets(): string | undefined {
  const named = process.env.KUBEBUILDER_ASSETS;
  if (named !== undefined && named !== "") {
    if (isWhole(named)) return named;
    throw new InfraError(`KUBEBUILDER_ASSETS is ${named}, which lacks ${missing(named).join(" and ")}`);
  }
  return isWhole(builtFolder()) ? builtFolder() : undefined;
}

export function requireAssets(): string {
  const found = findAssets();
  if (found === undefined) throw new InfraError(howToGetAssets);
  return found;
}

export const howToGetAssets =
  "no kube-apiserver and etcd: name their folder in KUBEBUILDER_ASSETS, or build them once with `pnpm envtest` (needs Go)";

/** Builds both from their Go modules, once per version of these; some minutes. */
export async function buildAssets(log: Log): Promise<string> {
  const folder = builtFolder();
  if (isWhole(folder)) return folder;
  const go = findProgram("go", ["/usr/local/go/bin"]);
  if (go === undefined) throw new InfraError("building kube-apiserver and etcd needs Go: https://go.dev/dl");
  return await withLock(`${folder}.lock`, "another build of kube-apiserver", log, async () => {
    if (isWhole(folder)) return folder;
    mkdirSync(dirname(folder), { recursive: true });
    const scratch = mkdtempSync(`${folder}.`);
    try {
      for (const [name, path] of Object.entries(packages)) {
        const args = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", linkerFlags(), "-o"];
        // CGO needs a C compiler, and neither program needs CGO.
        const build = { cwd: module, env: { CGO_ENABLED: "0", GOFLAGS: "", GOWORK: "off" } };
        await withProgress(`building ${name}`, log, () => exec(go, [...args, join(scratch, name), path], build));
      }
      rmSync(folder, { recursive: true, force: true });
      renameSync(scratch, folder);
      return folder;
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });
}

function builtFolder(): string {
  const inputs = ["go.mod", "go.sum"].map((name) => readFileSync(join(module, name)));
  const hash = createHash("sha256").update(Buffer.concat(inputs)).digest("hex").slice(0, 12);
  return join(cacheRoot(), "envtest", hash);
}

/** It tells clients what it is; a build without these calls itself v0.0.0. */
function linkerFlags(): string {
  const version = /k8s\.io\/kubernetes v(\d+)\.(\d+)\.\d+/.exec(readFileSync(join(module, "go.mod"), "utf8"));
  if (version === null) throw new InfraError("hack/envtest/go/go.mod names no version of k8s.io/kubernetes");
  const [whole, major, minor] = version;
  const values = { gitVersion: whole.split(" ")[1], gitMajor: major, gitMinor: minor, gitTreeState: "clean" };
  return ["-s -w", ...Object.entries(values).map(([k, v]) => `-X k8s.io/component-base/version.${k}=${v}`)].join(" ");
}

const missing = (folder: string): string[] => Object.keys(packages).filter((name) => !existsSync(join(folder, name)));
const isWhole = (folder: string): boolean => missing(folder).length === 0;
