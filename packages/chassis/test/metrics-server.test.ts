import { once } from "node:events";
import { createConnection } from "node:net";
import { pino } from "pino";
import { expect, it, onTestFinished } from "vitest";
import { makeLifecycle } from "../src/lifecycle/index.ts";
import { startMetricsServer } from "../src/metrics/index.ts";

async function start(): Promise<{ port: number; base: string }> {
  const lifecycle = makeLifecycle({ logger: pino({ level: "silent" }), graceMs: 5_000 });
  onTestFinished(async () => void (await lifecycle.shutdown("test")));
  const { port } = await startMetricsServer({
    port: 0,
    health: lifecycle.health,
    lifecycle,
    pages: { "/page": () => ({ is: "here" }) },
  });
  return { port, base: `http://127.0.0.1:${port}` };
}

it("serves metrics, probes and pages, whatever the query", async () => {
  const { base } = await start();
  expect(await (await fetch(`${base}/metrics?x=1`)).text()).toContain("process_cpu");
  expect((await fetch(`${base}/livez?verbose`)).status).toBe(200);
  expect(await (await fetch(`${base}/page`)).json()).toEqual({ is: "here" });
});

// "//" is a path to HTTP and no URL to anybody else: taken for one, it would end the process.
it.each(["//", "//?x", "http://[", "/nothing", "*"])("answers the target %j with 404", async (target) => {
  const { port, base } = await start();
  const socket = createConnection(port, "127.0.0.1");
  socket.end(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk;
  });
  await once(socket, "close");
  expect(received.split("\r\n", 1)[0]).toBe("HTTP/1.1 404 Not Found");
  expect((await fetch(`${base}/livez`)).status).toBe(200);
});
