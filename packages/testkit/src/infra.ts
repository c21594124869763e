import type { Endpoints } from "@pricing-engine/hack/infra";
import { inject } from "vitest";

/** Where this run's Kafka, Postgres (primary and replica) and Redis are. */
export type TestInfra = Endpoints<"kafka" | "postgres" | "redis">;

declare module "vitest" {
  export interface ProvidedContext {
    infra: TestInfra;
    runId: string;
  }
}

/** The servers that the global setup of the `integration` project started (or was given by `PE_TEST_INFRA`). */
export function infra(): TestInfra {
  return inject("infra");
}

/** Names what belongs to this run on servers that several runs share. */
export function runId(): string {
  return inject("runId");
}
