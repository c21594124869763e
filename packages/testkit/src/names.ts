import { randomBytes } from "node:crypto";

/** A `PricingEngine` that no other test has: the names in its prefix are random. */
export interface TestEngine {
  readonly namespace: string;
  readonly name: string;
  /** `<namespace>.<name>.`: what its topics, groups and Redis keys begin with. */
  readonly prefix: string;
}

export function makeTestEngine(): TestEngine {
  const namespace = "test";
  const name = `e${randomBytes(6).toString("hex")}`;
  return { namespace, name, prefix: `${namespace}.${name}.` };
}

/** The prefix of a random engine, for tests that need only names. */
export function makeTestPrefix(): string {
  return makeTestEngine().prefix;
}
