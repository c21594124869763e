// Reference R: a bare node:http server that answers a stored body of the same size, and does nothing else. It also takes
// the traces of the engine under test and drops them, so that tracing is on and costs what it costs the sender.
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";

const body = Buffer.alloc(Number(process.env.BODY_BYTES ?? "400"), "x");
const headers = { "content-type": "application/json", "content-length": String(body.length) };

function listen(answer: (response: import("node:http").ServerResponse) => void): Promise<number> {
  const server = createServer((request, response) => {
    request.resume();
    answer(response);
  });
  return new Promise((resolve) => {
    server.listen({ port: 0, host: "127.0.0.1" }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

const httpPort = await listen((response) => response.writeHead(200, headers).end(body));
const metricsPort = await listen((response) =>
  response.writeHead(200, { "content-type": "application/json" }).end("{}"),
);
writeFileSync(process.env.READY_FILE ?? "", JSON.stringify({ httpPort, metricsPort }));
process.on("SIGTERM", () => process.exit(0));
