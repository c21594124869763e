import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { findFreePort, findListenProblem } from "../src/runtime/local/port-owner.ts";

test("a free port is no problem", async () => {
  expect(await findListenProblem(await findFreePort("127.0.0.1"), "127.0.0.1")).toBeUndefined();
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
    const port = await findFreePort("127.0.0.1");
    expect(await findListenProblem(port, host)).toMatch(/^this machine cannot listen at .*--host$/);
  },
);
