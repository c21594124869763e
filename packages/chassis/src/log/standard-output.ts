import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import { type DestinationStream, pino } from "pino";
import { counter } from "../metrics/registry.ts";

/** Lines that wait for a reader; beyond it they are dropped, and counted. */
const maxWaitingBytes = 1024 * 1024;

const droppedLines = counter({
  name: "pricing_engine_log_lines_dropped_total",
  help: "Lines of the log that nobody read in time.",
});

let shared: DestinationStream | undefined;
let pipe: Socket | undefined;

/**
 * Standard output, one for the whole process. To a file or a terminal a line is written at once. Written so to a pipe, a reader that has
 * stopped reading would stop the process with it, which then hears no SIGTERM; so there lines wait in memory, and are dropped when
 * there are too many. A reader that has gone is nobody to write to.
 */
export function standardOutput(): DestinationStream {
  shared ??= isPipe(process.stdout.fd) ? openPipe(process.stdout.fd) : pino.destination({ fd: process.stdout.fd });
  return shared;
}

/** Resolves when nothing waits any more, or after `limitMs`: for the moment before the process ends. */
export async function flushStandardOutput(limitMs: number): Promise<void> {
  if (pipe === undefined || pipe.writableLength === 0 || pipe.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  pipe.once("drain", resolve).once("close", resolve);
  const timer = setTimeout(resolve, limitMs);
  await promise;
  clearTimeout(timer);
}

function isPipe(fd: number): boolean {
  const stat = fstatSync(fd);
  return stat.isFIFO() || stat.isSocket();
}

function openPipe(fd: number): DestinationStream {
  const socket = new Socket({ fd, readable: false, writable: true });
  pipe = socket;
  let dropped = 0;
  // EPIPE. The rest of the process is none the worse for it.
  socket.on("error", () => undefined);
  return {
    write(line) {
      if (socket.destroyed) return;
      if (socket.writableLength > maxWaitingBytes) {
        dropped += 1;
        droppedLines.inc();
        return;
      }
      if (dropped > 0) {
        const note = { level: "warn", time: new Date().toISOString(), dropped, msg: "nobody read the log for a while" };
        dropped = 0;
        socket.write(`${JSON.stringify(note)}\n`);
      }
      socket.write(line);
    },
  };
}
