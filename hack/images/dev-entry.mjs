// Runs a service from its sources and starts it anew when skaffold has put an edited file into the pod. A pod's root is
// read-only, so the sources are copied to /tmp first.
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync } from "node:fs";

const workspace = "/tmp/workspace";
cpSync("/app/workspace", workspace, { recursive: true, verbatimSymlinks: true });
mkdirSync(`${workspace}/node_modules`, { recursive: true });
symlinkSync("/app/store", `${workspace}/node_modules/.pnpm`);

const { ENGINE_SERVICE: service } = process.env;
const folder = service === undefined ? `${workspace}/operator` : `${workspace}/services/${service}`;
const args = process.argv.slice(2);
// A Job has to end.
const watch = args[0] === "migrate" ? [] : ["--watch", "--watch-preserve-output"];
const child = spawn(process.execPath, [...watch, `${folder}/src/main.ts`, ...args], { stdio: "inherit", cwd: folder });
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code) => process.exit(code ?? 1));
