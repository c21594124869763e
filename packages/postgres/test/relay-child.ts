import { makeOutboxRelay, makePool } from "@pricing-engine/postgres";

/** A relay in a process of its own, whose sink takes rows and never answers. For tests that kill it. */
const logger = { warn: () => undefined, info: () => undefined, debug: () => undefined };
const pool = makePool({ url: process.argv[2] ?? "", max: 4, applicationName: "relay-child", logger });
makeOutboxRelay({
  pool,
  schema: "shop",
  logger,
  sinkTimeoutMs: 1000,
  sinks: {
    kafka: () => {
      process.send?.("holding");
      return new Promise(() => undefined);
    },
  },
}).start();
