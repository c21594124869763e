import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/**
 * Runs `work` while no other process holds the lock. Whoever finds the lock of a dead process takes it away; should
 * two do so in the same instant, both work, which costs a second download but no harm: results are renamed into place.
 */
export async function withLock(path, what, work) {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    for (let waits = 0; !tryLink(own, path); waits += 1) {
      if (waits % 50 === 0 && waits > 0) console.error(`waiting for ${what} (${waits / 10} s)`);
      const holder = readHolder(path);
      if (holder !== undefined && !isAlive(holder)) rmSync(path, { force: true });
      else await delay(100);
    }
    try {
      return await work();
    } finally {
      rmSync(path, { force: true });
    }
  } finally {
    rmSync(own, { force: true });
  }
}

/** A link appears whole or not at all, with the pid already in it. */
function tryLink(own, path) {
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

function readHolder(path) {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
