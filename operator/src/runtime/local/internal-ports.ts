import { makePortPicker } from "@pricing-engine/hack/infra";
import type { Role } from "../../core/plan.ts";

const roles = [
  "pricing-api",
  "ingest-api",
  "payment-api",
  "orders-api",
  "processor-default",
  "processor-fallback",
  "provider",
] as const satisfies readonly Role[];

/**
 * Ports of whatever other processes call: chosen once, so that they are the same after a restart of one, and so below those that the
 * system hands out. Each of these may be a connection's before its process listens there, and then it never would.
 */
export async function findInternalPorts(): Promise<Partial<Record<Role, number>>> {
  const pick = makePortPicker();
  const ports: Partial<Record<Role, number>> = {};
  for (const role of roles) ports[role] = await pick();
  return ports;
}
