import type { Role } from "@pricing-engine/contracts";

/**
 * Who is calling: what a key stands for. Whoever set the engine up (the first admin key, or everybody where no keys are asked for) is
 * not bound to a tenant; an admin by a key that was made is, and the keys of others are not there for him.
 */
export type Caller = { tenant: string; role: Role; everyTenant?: true };

/** The tenant whose keys the caller may manage; undefined: all of them. */
export function managedTenant({ tenant, everyTenant }: Caller): string | undefined {
  return everyTenant ? undefined : tenant;
}

/** Whoever calls an engine without keys. */
export const anonymous: Caller = { tenant: "default", role: "admin", everyTenant: true };

const rank: Record<Role, number> = { reader: 0, writer: 1, admin: 2 };

/** Each role may do what the ones below it may. */
export function allows(role: Role, needed: Role): boolean {
  return rank[role] >= rank[needed];
}

const bearer = /^Bearer +([\x21-\x7e]{1,512}) *$/i;

/** The key of an `Authorization` header; undefined when it holds none. */
export function parseBearer(header: string | undefined): string | undefined {
  return header === undefined ? undefined : bearer.exec(header)?.[1];
}
