/**
 * What we use of undici, from its files: its index also loads fetch, WebSockets, caches and mocks, 3 MB that stay and three times as
 * much while they are loaded (docs/decisions/0008). The files are the ones that its index has, so classes are the same for both.
 */
import type { Dispatcher } from "undici";
import sendRequest from "undici/lib/api/api-request.js";
import buildConnector from "undici/lib/core/connect.js";
import errors from "undici/lib/core/errors.js";
import util from "undici/lib/core/util.js";
import Agent from "undici/lib/dispatcher/agent.js";
import DispatcherClass from "undici/lib/dispatcher/dispatcher.js";
import Pool from "undici/lib/dispatcher/pool.js";

// As the index does, for every agent and pool.
Object.assign(DispatcherClass.prototype, { request: sendRequest });

export type { Dispatcher };
export { Agent, buildConnector, errors, Pool };

export type RequestOptions = { readonly dispatcher?: Dispatcher } & Omit<
  Dispatcher.RequestOptions<null>,
  "origin" | "path" | "method"
> &
  Partial<Pick<Dispatcher.RequestOptions, "method">>;

const shared = new Agent();

/** undici's `request`, with connections that are shared unless a dispatcher is given. @throws what undici throws for what is no URL */
export function request(
  url: string | URL,
  { dispatcher = shared, ...options }: RequestOptions = {},
): Promise<Dispatcher.ResponseData> {
  const { origin, pathname, search } = util.parseURL(url);
  const method = options.method ?? (options.body ? "PUT" : "GET");
  return sendRequest.call(dispatcher, { ...options, origin, path: `${pathname}${search}`, method });
}
