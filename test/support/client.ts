import type { PriceResponse, ProductInput, TaskResponse } from "@pricing-engine/contracts";
import { eventually } from "@pricing-engine/testkit";
import { Agent, request } from "undici";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The parsed text; undefined when it is no JSON. */
  readonly body: unknown;
}

export interface CallOptions {
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, in place of `json`. */
  readonly raw?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default 30 s. */
  readonly timeoutMs?: number;
}

export interface EngineClient {
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** Throws when it is not a 200. */
  price(productId: string, context?: Readonly<Record<string, unknown>>): Promise<PriceResponse>;
  put(productId: string, product?: Partial<ProductInput>): Promise<void>;
  /** Makes `count` products `p-000000` … by one import. */
  importProducts(count: number, product?: Partial<ProductInput>): Promise<void>;
  /** Gives back the id of the event's task. */
  publish(event?: Readonly<Record<string, unknown>>): Promise<string>;
  task(taskId: string): Promise<TaskResponse>;
  /** Waits for the end of the task, however it ends. */
  taskEnd(taskId: string, timeoutMs?: number): Promise<TaskResponse>;
  close(): Promise<void>;
}

/** A client of the public API. It resends nothing, so that a test sees what a client would. */
export function makeClient(url: string, key?: string): EngineClient {
  const dispatcher = new Agent({ connections: 256, pipelining: 1 });
  const authorization = key === undefined ? {} : { authorization: `Bearer ${key}` };

  const call: EngineClient["call"] = async (method, path, { json, raw, headers, timeoutMs = 30_000 } = {}) => {
    const body = raw ?? (json === undefined ? undefined : JSON.stringify(json));
    const answer = await request(url + path, {
      method: method as "GET",
      dispatcher,
      headers: {
        ...authorization,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, headers: answer.headers, text, body: parse(text) };
  };
  async function expect<T>(status: readonly number[], answer: Promise<Answer>): Promise<T> {
    const { status: actual, text, body } = await answer;
    if (!status.includes(actual)) throw new Error(`answered with ${actual}: ${text.slice(0, 500)}`);
    return body as T;
  }
  const task: EngineClient["task"] = (taskId) => expect([200], call("GET", `/api/v1/tasks/${taskId}`));

  return {
    call,
    price: (productId, context) =>
      expect([200], call("POST", "/api/v1/price", { json: { product_id: productId, ...context } })),
    async put(productId, product) {
      const path = `/api/v1/products/${encodeURIComponent(productId)}`;
      await expect([200, 201], call("PUT", path, { json: { ...aProduct, ...product } }));
    },
    async importProducts(count, product) {
      const lines = Array.from({ length: count }, (_, index) =>
        JSON.stringify({ product_id: productIdOf(index), ...aProduct, ...product }),
      );
      const raw = `${lines.join("\n")}\n`;
      const options = { raw, headers: { "content-type": "application/x-ndjson" }, timeoutMs: 600_000 };
      const { imported } = await expect<{ imported: number }>([200], call("POST", "/api/v1/products:import", options));
      if (imported !== count) throw new Error(`imported ${imported} of ${count}`);
    },
    async publish(event) {
      const answer = await expect<{ task_id: string }>(
        [202],
        call("POST", "/api/v1/publish-market-event", event === undefined ? {} : { json: event }),
      );
      return answer.task_id;
    },
    task,
    async taskEnd(taskId, timeoutMs = 30_000) {
      return eventually(
        async () => {
          const found = await task(taskId);
          if (found.finished_at === null) throw new Error(`the task is still ${JSON.stringify(found)}`);
          return found;
        },
        { timeoutMs },
      );
    },
    close: () => dispatcher.destroy(),
  };
}

export const aProduct = { name: "A seat", base_price: "10.00", currency: "EUR" };

export function productIdOf(index: number): string {
  return `p-${String(index).padStart(6, "0")}`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
