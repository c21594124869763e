/** The reference: a bare `node:http` server that answers `BODY_BYTES` stored bytes. */
import { renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const body = Buffer.alloc(Number(process.env.BODY_BYTES), "a");
const server = createServer((_incoming, outgoing) => {
  outgoing.writeHead(200, { "content-type": "application/json", "content-length": body.length });
  outgoing.end(body);
});
server.listen(0, "127.0.0.1", () => {
  const file = process.env.READY_FILE ?? "";
  writeFileSync(`${file}.tmp`, JSON.stringify({ httpPort: (server.address() as AddressInfo).port }));
  renameSync(`${file}.tmp`, file);
});
process.once("SIGTERM", () => process.exit(0));
