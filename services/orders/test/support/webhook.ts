import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Delivered {
  readonly id: string;
  /** Whether the signature is ours, over exactly these bytes, and the timestamp is now. */
  readonly isOurs: boolean;
  readonly body: { type: string; data: Record<string, string> };
}

/** Whoever is told of orders: a server that checks signatures as standardwebhooks.com has receivers do it. */
export interface Webhook extends AsyncDisposable {
  readonly url: string;
  /** All that were sent here, answered well or not. */
  readonly received: readonly Delivered[];
  answers(status: number | "reset"): void;
}

export async function startWebhook(secret: Buffer): Promise<Webhook> {
  const received: Delivered[] = [];
  let answer: number | "reset" = 204;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const [id, seconds, signature] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) =>
        String(request.headers[name]),
      );
      const due = createHmac("sha256", secret).update(`${id}.${seconds}.${text}`).digest("base64");
      const isOurs = signature === `v1,${due}` && Math.abs(Date.now() / 1000 - Number(seconds)) < 60;
      received.push({ id: id ?? "", isOurs, body: JSON.parse(text) as Delivered["body"] });
      if (answer === "reset") request.socket.destroy();
      else response.writeHead(answer).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/orders`,
    received,
    answers(status) {
      answer = status;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
