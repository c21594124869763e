/**
 * Preloaded (`node --import`) into every child. The operator holds the other end of fd 3 and never writes: its end
 * comes when the operator is gone, however it went (kill -9 included), and then this process goes too. First as if by
 * SIGTERM, so that work in hand is finished; by force when that takes too long.
 */
import { Socket } from "node:net";

const graceMs = Number(process.env.SHUTDOWN_GRACE_MS ?? 20_000) + 1000;

const lifeline = new Socket({ fd: 3, readable: true, writable: false });
lifeline.on("error", () => lifeline.destroy());
lifeline.once("close", () => {
  setTimeout(() => process.kill(process.pid, "SIGKILL"), graceMs).unref();
  process.kill(process.pid, "SIGTERM");
});
lifeline.resume();
lifeline.unref();
