import { mkdirSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { requireProgram } from "../programs.ts";
import type { NativeContext, Server } from "./server.ts";

export function redisServer(context: NativeContext): Server {
  const home = join(context.dir, "redis");
  const persistence = context.durable ? ["--appendonly", "yes", "--appendfsync", "everysec"] : ["--appendonly", "no"];
  return {
    name: "redis",
    service: "redis",
    port: context.ports.redis,
    stopSignal: "SIGTERM",
    stopGraceMs: 10_000,
    startTimeoutMs: 30_000,

    async prepare() {
      mkdirSync(home, { recursive: true });
      const listen = ["--bind", "127.0.0.1", "--port", String(context.ports.redis)];
      return {
        name: "redis",
        command: requireProgram("redis-server"),
        args: [...listen, "--dir", home, "--save", "", ...persistence],
        cwd: home,
      };
    },

    async isReady() {
      return (await redisPing(context.ports.redis)) === "+PONG";
    },
  };
}

/** The first line of Redis' answer to PING ("-LOADING …" while it reads its log), or undefined without one. */
function redisPing(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port, timeout: 1_000 });
    const finish = (answer: string | undefined): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => socket.write("PING\r\n"));
    socket.once("data", (data) => finish(data.toString().split("\r\n")[0]));
    socket.once("timeout", () => finish(undefined));
    socket.once("error", () => finish(undefined));
  });
}
