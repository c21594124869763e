import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { InfraError } from "./exec.ts";
import type { Ports } from "./native/server.ts";
import type { Log, ServiceName } from "./types.ts";

/** Beside the servers' own well-known ports, which a developer's machine often has in use. */
export const fixedPorts: Ports = {
  kafka: 19092,
  kafkaController: 19093,
  postgres: 15432,
  postgresReplica: 15433,
  redis: 16379,
  s3: 17070,
};

/** Picks ports that are free now, none twice, below the range from which outgoing connections take theirs. */
export function makePortPicker(): () => Promise<number> {
  const taken = new Set<number>();
  return async () => {
    for (let attempt = 0; attempt < 1_000; attempt += 1) {
      const port = randomInt(20_000, 32_000);
      if (taken.has(port) || !(await isFree(port))) continue;
      taken.add(port);
      return port;
    }
    throw new InfraError("no free port between 20000 and 32000 on 127.0.0.1");
  };
}

const portsOf: Record<ServiceName, readonly (keyof Ports)[]> = {
  kafka: ["kafka", "kafkaController"],
  postgres: ["postgres", "postgresReplica"],
  redis: ["redis"],
  s3: ["s3"],
};

/** `ports`, with others for those of `services` that somebody else has taken; `own` are taken by servers of this very set. */
export async function avoidTakenPorts(
  ports: Ports,
  services: readonly ServiceName[],
  own: readonly number[],
  log: Log,
): Promise<Ports> {
  const pick = makePortPicker();
  const chosen = { ...ports };
  for (const name of services.flatMap((service) => portsOf[service])) {
    if (own.includes(ports[name]) || (await becomesFree(ports[name]))) continue;
    chosen[name] = await pick();
    log(`port ${ports[name]} is in use, so ${name} gets port ${chosen[name]}`);
  }
  return chosen;
}

/** Waits a moment, since a server that was just killed may still hold its port. */
export async function becomesFree(port: number): Promise<boolean> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    if (await isFree(port)) return true;
    await delay(50);
  }
  return false;
}

export async function pickRandomPorts(): Promise<Ports> {
  const pick = makePortPicker();
  return {
    kafka: await pick(),
    kafkaController: await pick(),
    postgres: await pick(),
    postgresReplica: await pick(),
    redis: await pick(),
    s3: await pick(),
  };
}

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}
