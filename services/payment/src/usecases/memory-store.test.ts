import { describe } from "vitest";
import { makeMemoryStore } from "./memory-store.ts";
import { describePaymentStore } from "./store-contract.ts";

describe("the simulated store", () => {
  describePaymentStore(async () => ({ store: makeMemoryStore(), nowMs: 1_800_000_000_123 }));
});
