import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { exec, InfraError, tryExec } from "../exec.ts";
import { withLock } from "../lock.ts";
import { findProgram } from "../programs.ts";
import { withProgress } from "../progress.ts";
import type { NativeContext, Server } from "./server.ts";

export const s3Region = "us-east-1";
export const s3Bucket = "receipts";
export const s3AccessKey = "pricing-engine";

const version = "v1.8.0";
const source = `github.com/versity/versitygw/cmd/versitygw@${version}`;

/** versitygw over a folder: its buckets are the folders in it. */
export function s3Server(context: NativeContext): Server {
  const data = join(context.dir, "s3", "buckets");
  const meta = join(context.dir, "s3", "meta");
  const port = context.ports.s3;
  return {
    name: "s3",
    service: "s3",
    port,
    stopSignal: "SIGTERM",
    stopGraceMs: 5_000,
    startTimeoutMs: 30_000,

    async prepare() {
      const command = await ensureVersitygw(context);
      mkdirSync(join(data, s3Bucket), { recursive: true });
      mkdirSync(meta, { recursive: true });
      return {
        name: "s3",
        command,
        args: [
          ...["--port", `127.0.0.1:${port}`, "--region", s3Region, "--health", "/health"],
          "posix",
          "--sidecar",
          meta,
          data,
        ],
        env: { ROOT_ACCESS_KEY_ID: s3AccessKey, ROOT_SECRET_ACCESS_KEY: context.password },
        cwd: data,
      };
    },

    async isReady() {
      const response = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
      return response?.ok ?? false;
    },
  };
}

/** Whether the server was built here before. */
export function isS3Built(cacheDir: string): boolean {
  return existsSync(programIn(cacheDir));
}

function programIn(cacheDir: string): string {
  return join(cacheDir, `versitygw-${version}`, "versitygw");
}

/** Built from its Go module, once per version; that takes minutes, so only who asks for S3 pays it. */
async function ensureVersitygw({ cacheDir, log }: NativeContext): Promise<string> {
  const program = programIn(cacheDir);
  const folder = dirname(program);
  if (existsSync(program)) return program;
  await withLock(join(cacheDir, "s3.lock"), "another build of versitygw", log, async () => {
    if (existsSync(program)) return;
    const go = findProgram("go", ["/usr/local/go/bin"]);
    const { stdout } = go === undefined ? { stdout: "" } : await tryExec(go, ["env", "GOVERSION"]);
    const [, major = 0, minor = 0] = (stdout.match(/^go(\d+)\.(\d+)/) ?? []).map(Number);
    if (go === undefined || major < 1 || (major === 1 && minor < 24)) {
      throw new InfraError(
        `the S3 server needs Docker Compose, or Go 1.24 or newer to build it (${stdout.trim() || "no Go"} here)`,
      );
    }
    log(`building versitygw ${version} (once, some minutes)`);
    // `go install` writes the program whole or not at all.
    await withProgress("go install", log, () => exec(go, ["install", source], { env: { GOBIN: folder } }));
  });
  return program;
}
