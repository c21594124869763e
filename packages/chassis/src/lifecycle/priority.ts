import { readdirSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";

const { PRIORITY_BELOW_NORMAL: background } = constants.priority;

/**
 * This process comes after others where they share CPUs, as all of an engine on one machine do: for work that answers nobody. It takes
 * what they leave, and a share when they leave nothing: a tenth of another's, or a third with a `niceness` of 5. It never raises a
 * priority that was set lower, and in a pod, alone, it changes nothing.
 */
export function runInBackground(niceness: number = background): void {
  for (const id of threads()) {
    try {
      if (getPriority(id) < niceness) setPriority(id, niceness);
    } catch {
      // It has ended, or it may not be asked for: then the work is done as it was.
    }
  }
}

/** On Linux a priority is a thread's, and those that collect garbage and compile were started before any code of ours. */
function threads(): number[] {
  try {
    return readdirSync("/proc/self/task").map(Number);
  } catch {
    return [process.pid];
  }
}
