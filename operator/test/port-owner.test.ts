import { once } from "node:events";
import { createServer } from "node:net";
import { makePortPicker } from "@pricing-engine/hack/infra";
import { expect, test } from "vitest";
import { findInternalPorts } from "../src/runtime/local/internal-ports.ts";
import { findListenProblem } from "../src/runtime/local/port-owner.ts";

const findFreePort = makePortPicker();

test("a free port is no problem", async () => {
  expect(await findListenProblem(await findFreePort(), "127.0.0.1")).toBeUndefined();
});

test("processes get ports that no connection of somebody else is given before they listen", async () => {
  const ports = Object.values(await findInternalPorts());
  // Linux hands out those from 32768 (net.ipv4.ip_local_port_range), others those from 49152.
  expect(Math.max(...ports)).toBeLessThan(32_768);
  expect(new Set(ports).size).toBe(ports.length);
});

test("one in use is named with who has it", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not bound");
  try {
    const problem = await findListenProblem(address.port, "127.0.0.1");
    expect(problem).toMatch(new RegExp(`^port ${address.port} is in use by .*\\(pid ${process.pid}\\): .*--port`));
  } finally {
    server.close();
  }
});

test.each(["192.0.2.1", "256.1.1.1"])(
  "an address that is not this machine's is not called a port in use: %s",
  async (host) => {
    const port = await findFreePort();
    expect(await findListenProblem(port, host)).toMatch(/^this machine cannot listen at .*--host$/);
  },
);
