import { describe } from "vitest";
import { type MemoryPort, makeMemoryPort } from "./memory-port.ts";
import { describeCachePort } from "./port.contract.ts";

describe("the port in memory", () => {
  let nowMs = 0;
  let port: MemoryPort;
  describeCachePort(
    () => {
      port = makeMemoryPort({ now: () => nowMs });
      return port;
    },
    {
      pass: async (durationMs) => {
        nowMs += durationMs;
      },
      empty: async () => port.empty(),
    },
  );
});
