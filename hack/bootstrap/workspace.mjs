import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withLock } from "./lock.mjs";
import { runQuietly } from "./run.mjs";

/** Installs the workspace's packages when the lockfile is another one than at the last finished installation. */
export async function ensureWorkspace({ root, bin, env }) {
  const modules = join(root, "node_modules");
  const marker = join(modules, ".installed-lockfile");
  const wanted = createHash("sha256")
    .update(readFileSync(join(root, "pnpm-lock.yaml")))
    .update(readFileSync(join(root, "pnpm-workspace.yaml")))
    .digest("hex");
  const isInstalled = () => existsSync(marker) && readFileSync(marker, "utf8") === wanted;
  if (isInstalled()) return;
  mkdirSync(modules, { recursive: true });
  await withLock(join(modules, ".install.lock"), "another installation of the packages", async () => {
    if (isInstalled()) return;
    console.error("Installing the workspace's packages …");
    rmSync(marker, { force: true });
    await runQuietly(join(bin, "pnpm"), ["install", "--frozen-lockfile", "--reporter=append-only"], {
      cwd: root,
      // Nobody is there to answer a question.
      env: { ...env, CI: "true" },
      failure: explainPnpm,
    });
    writeFileSync(marker, wanted);
  });
}

function explainPnpm(output) {
  const lines = output.trim().split("\n");
  if (/ENOSPC|No space left/i.test(output)) return "ENOSPC";
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|error sending request|dns error/i.test(output)) {
    return `pnpm cannot reach the registry. Is there a network (or a proxy to set)?\n${lines.slice(-4).join("\n")}`;
  }
  return `pnpm install failed:\n${lines.slice(-15).join("\n")}`;
}
