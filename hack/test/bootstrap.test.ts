import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";

const main = join(import.meta.dirname, "..", "bootstrap", "main.mjs");
const runModule = join(import.meta.dirname, "..", "bootstrap", "run.mjs");
const lockModule = join(import.meta.dirname, "..", "bootstrap", "lock.mjs");
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pricing-engine-bootstrap-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the bootstrap with an empty cache and this npm, a shell script; `undefined` means that there is none. */
function bootstrap(npm: string | undefined, cache = join(folder, "cache")) {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  if (npm !== undefined) {
    writeFileSync(join(bin, "npm"), `#!/bin/sh\n${npm}\n`);
    chmodSync(join(bin, "npm"), 0o755);
  }
  const PATH = npm === undefined ? bin : [bin, "/usr/bin", "/bin"].join(delimiter);
  const env = { PATH, HOME: folder, XDG_CACHE_HOME: cache };
  return spawnSync(process.execPath, [main, "infra", "status"], { env, encoding: "utf8" });
}

describe("without a toolchain", () => {
  it.each([
    ["no npm", undefined, /npm is needed/],
    ["no network", "echo 'npm error code ENOTFOUND' >&2; exit 1", /cannot reach its registry.*network/],
    ["a full disk", "echo 'npm error ENOSPC: no space left on device' >&2; exit 1", /disk is full/],
    ["another fault", "echo 'npm error something else' >&2; exit 1", /could not install.*\n.*something else/],
    [
      "another program under the name",
      `mkdir -p node_modules; printf '{"packages": {}}' > node_modules/.package-lock.json`,
      /gave another .* than the known one/,
    ],
  ])("says what is wrong: %s", (_name, npm, message) => {
    const { status, stderr } = bootstrap(npm);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(status).toBe(1);
    // Nothing of it is left that a later start could take for whole.
    const cache = join(folder, "cache", "pricing-engine");
    expect(existsSync(cache) ? readdirSync(cache) : []).toEqual([]);
  });

  it("says which folder cannot be written", () => {
    writeFileSync(join(folder, "file"), "");
    const { status, stderr } = bootstrap("exit 1", join(folder, "file", "cache"));
    expect(stderr).toMatch(/Cannot write.*file\/cache.*XDG_CACHE_HOME/s);
    expect(status).toBe(1);
  });
});

it("tells the command where the person stood, and nothing else of npm", () => {
  cpSync(dirname(main), join(folder, "hack", "bootstrap"), { recursive: true });
  for (const name of ["pnpm-lock.yaml", "pnpm-workspace.yaml"]) writeFileSync(join(folder, name), "");
  const source = readFileSync(join(dirname(main), "toolchain.mjs"), "utf8");
  const version = (name: string) => source.match(new RegExp(`${name}Version = "(.+)"`))?.[1];
  const toolchain = `toolchain-node-${version("node")}-pnpm-${version("pnpm")}-${process.platform}-${process.arch}`;
  const bin = join(folder, "cache", "pricing-engine", toolchain, "bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "node"), '#!/bin/sh\necho "from $INIT_CWD: $npm_config_registry"\n', { mode: 0o755 });
  writeFileSync(join(bin, "pnpm"), "#!/bin/sh\n", { mode: 0o755 });
  const env = {
    PATH: "/usr/bin:/bin",
    XDG_CACHE_HOME: join(folder, "cache"),
    INIT_CWD: "/where/they/stood",
    npm_config_registry: "x",
  };
  const copy = join(folder, "hack", "bootstrap", "main.mjs");
  const { stdout } = spawnSync(process.execPath, [copy, "status"], { env, encoding: "utf8" });
  expect(stdout).toBe("from /where/they/stood: \n");
});

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}

describe("the command", () => {
  function run(script: string) {
    const call = `
      import { runToEnd } from ${JSON.stringify(runModule)};
      await runToEnd("sh", ["-c", ${JSON.stringify(script)}], { cwd: "/", env: process.env });`;
    const args = ["--input-type=module", "--eval", call];
    // A group of its own: a script that is left over holds our stderr, and the whole run would never end.
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"], detached: true });
    onTestFinished(() => killGroup(child));
    return child;
  }

  it.each([
    ["its exit code", "exit 7", [7, null]],
    ["the signal that ended it", "kill -TERM $$", [null, "SIGTERM"]],
    ["SIGKILL as a shell tells it", "kill -KILL $$", [137, null]],
  ])("ends us with %s", async (_name, script, end) => {
    expect(await once(run(script), "close")).toEqual(end);
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("gets our %s, and we wait for its end", async (signal) => {
    const name = signal.slice(3);
    const child = run(`trap 'echo got ${name}; exit 3' ${name}; echo ready; while :; do sleep 0.05; done`);
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
    await expect.poll(() => output, { timeout: 60_000 }).toContain("ready");
    child.kill(signal);
    expect(await once(child, "close")).toEqual([3, null]);
    expect(output).toBe(`ready\ngot ${name}\n`);
  });

  it("hears of our end by SIGKILL through the pipe on its fd 3", async () => {
    const child = run(`echo ready; read -r _ <&3; echo alone > ${folder}/end`);
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await expect.poll(() => existsSync(join(folder, "end")), { timeout: 60_000 }).toBe(true);
  });

  it("gets SIGTERM when npm, which started us, is killed", async () => {
    const script = `trap 'echo told > ${folder}/end; exit' TERM; echo ready; while :; do sleep 0.05; done`;
    const call = `
      import { runToEnd } from ${JSON.stringify(runModule)};
      await runToEnd("sh", ["-c", ${JSON.stringify(script)}], { cwd: "/", env: process.env, endWithParent: true });`;
    const npm = `
      import { spawn } from "node:child_process";
      spawn(process.execPath, ["--input-type=module", "--eval", ${JSON.stringify(call)}], { stdio: "inherit" });`;
    const args = ["--input-type=module", "--eval", npm];
    const parent = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"], detached: true });
    onTestFinished(() => killGroup(parent));
    await once(parent.stdout, "data");
    parent.kill("SIGKILL");
    await expect.poll(() => existsSync(join(folder, "end")), { timeout: 60_000 }).toBe(true);
  });

  it("takes the two SIGINTs of one Ctrl-C under npm for one", async () => {
    const script = `n=0; trap 'n=$((n+1)); echo interrupt $n' INT; echo ready; while [ ! -e ${folder}/end ]; do sleep 0.05; done`;
    const child = run(script);
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
    await expect.poll(() => output, { timeout: 60_000 }).toContain("ready");
    child.kill("SIGINT");
    await expect.poll(() => output, { timeout: 60_000 }).toContain("interrupt 1");
    child.kill("SIGINT");
    child.kill("SIGTERM");
    await once(child, "close");
    expect(output).not.toContain("interrupt 2");
  });
});

it("takes the lock of a dead process, and waits for a live one", async () => {
  const path = join(folder, "lock");
  const { pid } = spawnSync("true");
  writeFileSync(path, String(pid));
  const call = (text: string): string => `
    import { withLock } from ${JSON.stringify(lockModule)};
    await withLock(${JSON.stringify(path)}, "another", async () => { ${text} });`;
  const start = (text: string) =>
    spawn(process.execPath, ["--input-type=module", "--eval", call(text)], { stdio: ["pipe", "pipe", "inherit"] });
  const first = start(
    'console.log("in"); await new Promise((resolve) => process.stdin.once("data", resolve)); process.stdin.unref();',
  );
  await once(first.stdout, "data");
  const second = start(`console.log("second");`);
  const secondIn = once(second.stdout, "data").then(() => "second");
  first.stdin.write("go\n");
  const firstEnd = once(first, "close").then(() => "first");
  expect(await Promise.race([firstEnd, secondIn])).toBe("first");
  expect(await secondIn).toBe("second");
  await once(second, "close");
  expect(readdirSync(dirname(path))).toEqual([]);
});
