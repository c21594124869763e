// Runs a service from its sources and starts it anew when skaffold has put an edited file into the pod. A pod's root is
// read-only, so the sources are copied to /tmp first.
import { spawn } from "node:child_process";
import { cpSync, globSync, mkdirSync, symlinkSync, watch } from "node:fs";

const workspace = "/tmp/workspace";
cpSync("/app/workspace", workspace, { recursive: true, verbatimSymlinks: true });
mkdirSync(`${workspace}/node_modules`, { recursive: true });
symlinkSync("/app/store", `${workspace}/node_modules/.pnpm`);

const { ENGINE_SERVICE: service } = process.env;
const folder = service === undefined ? `${workspace}/operator` : `${workspace}/services/${service}`;
const args = process.argv.slice(2);
// A Job has to end.
const isWatched = args[0] !== "migrate";
// Only what was edited is stripped of its types again; and nobody is there whose requests a stop would have to wait for.
const env = { ...process.env, NODE_COMPILE_CACHE: "/tmp/compile-cache", HTTP_LINGER_MS: "0" };
const forceAfterMs = 2_000;
const gatherMs = 100;

let child = start();
let isStopping = false;
let isRestarting = false;

function start() {
  const started = spawn(process.execPath, [`${folder}/src/main.ts`, ...args], { stdio: "inherit", cwd: folder, env });
  started.on("exit", (code) => {
    if (isStopping || !isWatched) process.exit(code ?? 1);
    if (isRestarting) {
      isRestarting = false;
      child = start();
    } else console.error(`ended with ${code ?? "a signal"}; the next edit starts it again`);
  });
  return started;
}

function hasEnded({ exitCode, signalCode }) {
  return exitCode !== null || signalCode !== null;
}

function restart() {
  console.error("an edit: starting anew");
  const edited = child;
  if (hasEnded(edited)) {
    child = start();
    return;
  }
  isRestarting = true;
  edited.kill("SIGTERM");
  setTimeout(() => edited.kill("SIGKILL"), forceAfterMs).unref();
}

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    isStopping = true;
    // It may have ended by itself, and nobody would hear of it again.
    if (hasEnded(child)) process.exit(0);
    child.kill(signal);
  });
}
if (isWatched) {
  let timer;
  // Folders: skaffold replaces files, and `node --watch`, which looks at each file, sees the first time alone.
  for (const sources of [`${folder}/src`, ...globSync(`${workspace}/packages/*/src`)]) {
    watch(sources, { recursive: true }, () => {
      clearTimeout(timer);
      timer = setTimeout(restart, gatherMs);
    });
  }
}
