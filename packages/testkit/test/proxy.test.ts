import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startTcpProxy, type TcpProxy } from "../src/index.ts";

const echo = createServer((socket) => socket.on("error", () => {}).pipe(socket));
let proxy: TcpProxy;
const clients: Socket[] = [];

beforeEach(async () => {
  echo.listen({ port: 0, host: "127.0.0.1" });
  await once(echo, "listening");
  proxy = await startTcpProxy({ target: `127.0.0.1:${(echo.address() as AddressInfo).port}` });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await proxy.close();
  echo.close();
});

async function open(): Promise<Socket> {
  const client = connect({ port: proxy.port, host: proxy.host });
  clients.push(client);
  client.on("error", () => {});
  await once(client, "connect");
  return client;
}

async function roundTrip(client: Socket, text: string): Promise<string> {
  client.write(text);
  const [answer] = await once(client, "data");
  return String(answer);
}

it("passes bytes on, and ends with its peers", async () => {
  const client = await open();
  expect(await roundTrip(client, "hello")).toBe("hello");
  client.end();
  await once(client, "close");
  await expect.poll(() => proxy.connections()).toBe(0);
});

it("cuts connections and refuses new ones until it is restored", async () => {
  const client = await open();
  await roundTrip(client, "up");
  const closed = new Promise((resolve) => client.once("close", resolve));
  proxy.cut();
  await closed;
  const refused = connect({ port: proxy.port, host: proxy.host });
  const [error] = await once(refused, "error");
  expect(error).toMatchObject({ code: "ECONNRESET" });
  proxy.restore();
  expect(await roundTrip(await open(), "again")).toBe("again");
});

it("delays each way", async () => {
  const client = await open();
  proxy.delay(60);
  const startedAt = performance.now();
  expect(await roundTrip(client, "late")).toBe("late");
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(115);
});

it("keeps the order when a delay ends", async () => {
  const client = await open();
  const received: string[] = [];
  client.on("data", (chunk) => received.push(chunk.toString()));
  proxy.delay(80);
  client.write("first ");
  await expect.poll(() => proxy.connections()).toBe(1);
  await new Promise((resolve) => setImmediate(resolve));
  proxy.restore();
  client.write("second");
  await expect.poll(() => received.join("")).toBe("first second");
});

it("holds bytes back in a black hole, and passes them when restored", async () => {
  const client = await open();
  await roundTrip(client, "before");
  proxy.blackhole();
  const other = await open();
  let answered = false;
  const answers = Promise.all([roundTrip(client, "held"), roundTrip(other, "new")]).finally(() => {
    answered = true;
  });
  // A direct round trip to the target is proof that time enough has passed for an answer.
  const direct = connect({ port: (echo.address() as AddressInfo).port, host: "127.0.0.1" });
  clients.push(direct);
  await roundTrip(direct, "x");
  expect(answered).toBe(false);
  proxy.restore();
  expect(await answers).toEqual(["held", "new"]);
});

it("hangs for those who are there, and not for those who come", async () => {
  const client = await open();
  await roundTrip(client, "before");
  proxy.hang();
  let answered = false;
  const answer = roundTrip(client, "held").finally(() => {
    answered = true;
  });
  expect(await roundTrip(await open(), "new")).toBe("new");
  expect(answered).toBe(false);
  proxy.restore();
  expect(await answer).toBe("held");
});
