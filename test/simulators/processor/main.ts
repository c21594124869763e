import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { makeProcessorServer } from "./server.ts";

// A process of its own: what it recorded outlives whatever is done to the engine. The operator's local runtime starts it with
// variables, people and tests with arguments.
const { env } = process;
const { values } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: "string", default: env.HTTP_PORT ?? "0" },
    host: { type: "string", default: env.HTTP_HOST ?? "127.0.0.1" },
    fee: { type: "string", default: env.PROCESSOR_FEE ?? "0.05" },
    token: { type: "string", default: env.PROCESSOR_TOKEN ?? "123" },
    ledger: { type: "string" },
    "ready-file": { type: "string" },
    "no-refunds": { type: "boolean", default: false },
  },
});

const ledgerFile = values.ledger ?? env.PROCESSOR_LEDGER;
const server = makeProcessorServer({
  fee: Number(values.fee),
  token: values.token,
  refunds: !values["no-refunds"],
  ...(ledgerFile === undefined ? {} : { ledgerFile }),
});
server.listen(Number(values.port), values.host, () => {
  const { port } = server.address() as AddressInfo;
  const readyFile = values["ready-file"] ?? env.READY_FILE;
  if (readyFile !== undefined) writeFileSync(readyFile, JSON.stringify({ httpPort: port, pid: process.pid }));
  console.log(JSON.stringify({ msg: "processor simulator is up", port, fee: values.fee }));
});
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  });
}
