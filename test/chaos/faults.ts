import { setTimeout as delay } from "node:timers/promises";
import type { Role } from "@pricing-engine/operator/plan";
import { eventually } from "@pricing-engine/testkit";
import type { Engine } from "../support/engine.ts";

/** Something that goes wrong: what it is called, and how it comes and goes. */
export interface Fault {
  readonly name: string;
  /** Resolves when it is over; what it broke runs again then. */
  strike(): Promise<void>;
}

/** `kill -9` of every process of a role, and new ones in their place. */
export function killRole(engine: Engine, role: Role, env: Readonly<Record<string, string>> = {}): Fault {
  return {
    name: `kill -9 of ${role}`,
    async strike() {
      const processes = engine.processes(role);
      await Promise.all(processes.map((each) => each.kill()));
      await Promise.all(processes.map(() => engine.start(role, env)));
    },
  };
}

/** One process of a role sleeps for longer than its session, another takes over, and it wakes up: a zombie. */
export function pauseRole(engine: Engine, role: Role, forMs: number): Fault {
  return {
    name: `SIGSTOP of ${role} for ${forMs / 1000} s`,
    async strike() {
      const [first] = engine.processes(role);
      if (first === undefined) throw new Error(`no ${role} runs`);
      const other = await engine.start(role);
      first.pause();
      await delay(forMs);
      first.resume();
      await delay(2_000);
      await other.stop();
    },
  };
}

/** `kill -9` of a server, which starts again with its data. */
export function killServer<S extends string>(
  infra: { kill(service: S): Promise<void>; restart(service: S): Promise<void> },
  service: S,
): Fault {
  return {
    name: `kill -9 of ${service}`,
    async strike() {
      await infra.kill(service);
      // What was killed may hold its lock files for a moment: a start beside it is refused.
      await eventually(() => infra.restart(service), { timeoutMs: 120_000 });
    },
  };
}

/** Something else that begins, lasts and ends. */
export function lasting(
  name: string,
  forMs: number,
  begin: () => Promise<unknown>,
  end: () => Promise<unknown>,
): Fault {
  return {
    name: `${name} for ${forMs / 1000} s`,
    async strike() {
      await begin();
      await delay(forMs);
      await end();
    },
  };
}

/** Two at once. */
export function together(first: Fault, second: Fault): Fault {
  return {
    name: `${first.name} and ${second.name}`,
    async strike() {
      await Promise.all([first.strike(), second.strike()]);
    },
  };
}

/** One after the other, with some calm between them. */
export async function strikeAll(faults: readonly Fault[], calmMs: number, say: (line: string) => void): Promise<void> {
  const startedMs = performance.now();
  for (const { name, strike } of faults) {
    await delay(calmMs * (0.5 + Math.random()));
    say(`${((performance.now() - startedMs) / 1000).toFixed(1)} s: ${name}`);
    await strike();
  }
  await delay(calmMs);
}
