import { once } from "node:events";
import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";
import Connection from "kafkajs/src/network/connection.js";
import Encoder from "kafkajs/src/protocol/encoder.js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { patchKafkajs } from "./kafkajs-patch.ts";

const nothing = () => undefined;
const silent = { namespace: () => silent, debug: nothing, info: nothing, warn: nothing, error: nothing };
const call = {
  request: { apiKey: 18, apiVersion: 0, apiName: "ApiVersions", encode: async () => new Encoder() },
  response: { decode: async (bytes: unknown) => bytes, parse: async () => "answered" },
};
/** Of each connection, in order: what comes instead of an answer. Left out: the answer. */
const instead: (Buffer | undefined)[] = [];
let accepted = 0;
const peer = createServer((socket: Socket) => {
  const other = instead[accepted++];
  socket.on("error", nothing);
  socket.on("data", (request) => {
    // Size, then the correlation id, which stands behind size, key and version of the request.
    const answer = Buffer.alloc(8);
    answer.writeInt32BE(4);
    request.copy(answer, 4, 8, 12);
    socket.write(other ?? answer);
  });
});

beforeAll(async () => {
  patchKafkajs();
  peer.listen(0, "127.0.0.1");
  await once(peer, "listening");
});
afterAll(() => void peer.close());

function connectTo(): Connection {
  return new Connection({
    host: "127.0.0.1",
    port: (peer.address() as AddressInfo).port,
    logger: silent,
    socketFactory: ({ onConnect, ...address }: { onConnect: () => void; host: string; port: number }) =>
      createConnection(address, onConnect),
    clientId: "test",
    connectionTimeout: 1_000,
    requestTimeout: 200,
    enforceRequestTimeout: true,
  });
}

it("begins afresh after half an answer", async () => {
  const half = Buffer.alloc(12);
  half.writeInt32BE(100);
  instead.splice(0, instead.length, half);
  accepted = 0;
  const connection = connectTo();
  await connection.connect();
  await expect(connection.send(call)).rejects.toThrow("timed out");
  expect(connection.isConnected()).toBe(false);
  await connection.connect();
  expect(await connection.send(call)).toBe("answered");
  await connection.disconnect();
});

it("opens one socket for all who want it at once", async () => {
  instead.splice(0);
  accepted = 0;
  const connection = connectTo();
  await Promise.all([connection.connect(), connection.connect(), connection.connect()]);
  expect(await connection.send(call)).toBe("answered");
  expect(accepted).toBe(1);
  await connection.disconnect();
});
