import { setTimeout as delay } from "node:timers/promises";
import { stopInfra } from "@pricing-engine/hack/infra";
import { endLeftovers } from "../runtime/local/child-records.ts";
import { isAlive, signalProcess } from "../runtime/local/process-identity.ts";
import { findLastOperator, findRunningOperator, releaseLock, type StateDir } from "../runtime/local/state-dir.ts";
import type { Progress } from "./progress.ts";

const patienceMs = 45_000;

/** Ends the engine, its processes and its servers, also when its operator was killed. Data is kept. */
export async function stopEngine(dir: StateDir, progress: Progress): Promise<void> {
  const running = findRunningOperator(dir);
  const last = findLastOperator(dir);
  let forced = false;
  if (running !== undefined) {
    await progress.step(`${running.engine} stops`, async () => {
      signalProcess(running, "SIGTERM");
      const deadline = Date.now() + patienceMs;
      while (isAlive(running)) {
        if (Date.now() > deadline) forced = signalProcess(running, "SIGKILL") || forced;
        await delay(50);
      }
    });
  }
  const leftovers = await endLeftovers(dir.childrenFile, 5000);
  if (leftovers.length > 0) progress.say(`  ended what was left running: ${leftovers.join(", ")}`);
  // An operator that ends in order has stopped the servers that it started, and others may be another engine's. Of one that
  // was killed the watchdog stops them; this waits until it has, or does it.
  const killed = running === undefined || forced;
  if (killed && last?.infraDir !== undefined) await stopInfra(last.infraDir, () => undefined);
  releaseLock(dir);
  if (running === undefined && leftovers.length === 0) progress.say("No engine runs.");
}
