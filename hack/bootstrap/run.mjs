import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { Failure } from "./failure.mjs";

/** Two SIGINTs so close are one Ctrl-C: the terminal sends it to npm and to us, and npm passes its own on. */
const sameKeyMs = 500;
const lookForParentMs = 500;
/** Read at the start: whoever started us may be gone before there is a child. */
const parent = process.ppid;

/**
 * Runs a program to its end with our own input and output, passes signals on, and ends this process the way it ended.
 * It gets a process group of its own, so that a Ctrl-C reaches it once, through us. Nobody can pass on a SIGKILL: the program has a pipe to us
 * on its fd 3, which breaks with us, and with `endWithParent` it is told to end when whoever started us is gone.
 */
export async function runToEnd(program, args, { cwd, env, endWithParent = false }) {
  let lastInterruptAt = Number.NEGATIVE_INFINITY;
  const pass = (signal) => {
    const now = performance.now();
    if (signal === "SIGINT" && now - lastInterruptAt < sameKeyMs) return;
    if (signal === "SIGINT") lastInterruptAt = now;
    child.kill(signal);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];
  // Before there is a child: a signal in the moment after would end us, and leave it running.
  for (const signal of signals) process.on(signal, pass);
  const child = spawn(program, args, { cwd, env, stdio: ["inherit", "inherit", "inherit", "pipe"], detached: true });
  child.stdio[3].on("error", () => undefined);
  const look = setInterval(() => {
    if (!endWithParent || process.ppid === parent) return;
    clearInterval(look);
    pass("SIGTERM");
  }, lookForParentMs);
  // Not `close`: a grandchild may hold the pipe for longer.
  const [code, signal] = await once(child, "exit");
  clearInterval(look);
  child.stdio[3].destroy();
  for (const name of signals) process.off(name, pass);
  if (signal === null) process.exitCode = code;
  else if (signal === "SIGKILL") process.exitCode = 128 + constants.signals.SIGKILL;
  else process.kill(process.pid, signal);
}

/** Runs a program without input and keeps its output to itself; throws with the end of it unless it succeeds. */
export async function runQuietly(program, args, { cwd, env, failure }) {
  const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr.on("data", (chunk) => {
    output += chunk;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Failure(failure(output));
}
