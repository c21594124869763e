import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { UserError } from "../runtime/local/user-error.ts";

/** Calls the gateway for the demo, and shows each call as the curl that does the same. */
export interface DemoCaller {
  readonly address: string;
  say(line: string): void;
  key(): Promise<{ readonly headers: Record<string, string>; readonly keyHint: string }>;
  /** @throws UserError when the answer is no success */
  call<S extends z.ZodType>(method: "GET" | "POST", path: string, schema: S, body?: object): Promise<z.output<S>>;
  show(title: string, path: string, answer: object, body?: object): Promise<void>;
}

const timeoutMs = 20_000;

export function makeDemoCaller(options: {
  /** Of the gateway, without a slash at the end. */
  readonly address: string;
  /** With `auth: apiKey`. */
  readonly adminKeyFile?: string | undefined;
  say(line: string): void;
}): DemoCaller {
  const { address, adminKeyFile, say } = options;
  const key: DemoCaller["key"] = async () => {
    if (adminKeyFile === undefined) return { headers: {}, keyHint: "" };
    const text = (await readFile(adminKeyFile, "utf8")).trim();
    return {
      headers: { authorization: `Bearer ${text}` },
      keyHint: ` -H "Authorization: Bearer $(cat ${adminKeyFile})"`,
    };
  };
  return {
    address,
    say,
    key,
    async call(method, path, schema, body) {
      const { headers } = await key();
      const sent =
        body === undefined
          ? { headers }
          : { headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(body) };
      const response = await fetch(address + path, { method, ...sent, signal: AbortSignal.timeout(timeoutMs) });
      const text = await response.text();
      if (!response.ok) throw new UserError(`${method} ${path} answered ${response.status}: ${text.slice(0, 400)}`);
      return schema.parse(JSON.parse(text));
    },
    async show(title, path, answer, body) {
      const { keyHint } = await key();
      const data = body === undefined ? "" : ` -H 'content-type: application/json' -d '${JSON.stringify(body)}'`;
      say("");
      say(title);
      say(`  $ curl -s${keyHint} '${address}${path}'${data}`);
      say(`  ${JSON.stringify(answer)}`);
    },
  };
}
