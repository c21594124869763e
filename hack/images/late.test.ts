import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, expect, it } from "vitest";
import { loadLate } from "./late.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "pricing-engine-late-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Bundles a module as a service's own, runs it, and gives what it printed. */
async function run(contents: string): Promise<unknown> {
  const outfile = join(folder, "main.mjs");
  await build({
    stdin: { contents, resolveDir: join(root, "services/gateway/src"), loader: "ts" },
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    plugins: [loadLate],
  });
  return JSON.parse(execFileSync(process.execPath, [outfile], { encoding: "utf8", timeout: 20_000 }));
}

const loaded = `const isLoaded = (name: string) =>
  (process as unknown as { moduleLoadList: string[] }).moduleLoadList.includes("NativeModule " + name);`;

it("loads TLS when it is used, however it is imported", async () => {
  const report = await run(`
    import { createSecureContext } from "node:tls";
    import * as all from "tls";
    import tls from "node:tls";
    ${loaded}
    const before = isLoaded("tls");
    const works = [createSecureContext, all.createSecureContext, tls.createSecureContext].map((make) => typeof make({}));
    console.log(JSON.stringify({ before, works, after: isLoaded("tls") }));
  `);
  expect(report).toEqual({ before: false, works: ["object", "object", "object"], after: true });
});

it("serves and calls HTTP without what TLS, HTTP/2 and fetch need", async () => {
  const report = await run(`
    import { once } from "node:events";
    import { createServer } from "node:http";
    import { request } from "@pricing-engine/chassis/http-client";
    ${loaded}
    const server = createServer((_, answer) => answer.end("served")).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { body } = await request("http://127.0.0.1:" + server.address().port);
    const text = await body.text();
    const spare = ["tls", "https", "http2", "internal/deps/undici/undici"].filter(isLoaded);
    console.log(JSON.stringify({ text, spare }));
    process.exit();
  `);
  expect(report).toEqual({ text: "served", spare: [] });
});

it("speaks HTTP/2 and HTTP/1 over TLS", async () => {
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const self = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", [...self, ...named, "-keyout", key, "-out", cert], { stdio: "pipe" });
  const report = await run(`
    import { once } from "node:events";
    import { readFileSync } from "node:fs";
    import { createSecureServer } from "node:http2";
    import { Agent, request } from "@pricing-engine/chassis/http-client";
    const [key, cert] = [${JSON.stringify(key)}, ${JSON.stringify(cert)}].map((path) => readFileSync(path));
    const server = createSecureServer({ allowHTTP1: true, key, cert }, (call, answer) => answer.end(call.httpVersion));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const call = async (allowH2: boolean) => {
      const dispatcher = new Agent({ allowH2, connect: { ca: cert } });
      const { body } = await request("https://127.0.0.1:" + server.address().port, { dispatcher });
      return await body.text();
    };
    console.log(JSON.stringify([await call(true), await call(false)]));
    process.exit();
  `);
  expect(report).toEqual(["2.0", "1.1"]);
});
