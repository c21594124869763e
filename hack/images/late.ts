import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Plugin } from "esbuild";

const require = createRequire(import.meta.url);

/**
 * Modules that libraries load at their start and our processes seldom need, loaded where they are first used. TLS, HTTPS and HTTP/2 are
 * 7 MB of a process. `node:http`, imported as an ES module, is read to its last property, one of which is Node's own `fetch`: 3 MB more.
 * Figures: docs/decisions/0008.
 */
export const loadLate: Plugin = {
  name: "load-late",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(?:node:)?(?:https?|tls|http2)$/ }, ({ path, namespace }) =>
      namespace === "late"
        ? { path, external: true }
        : { path: `node:${path.replace(/^node:/, "")}`, namespace: "late" },
    );
    onLoad({ filter: /.*/, namespace: "late" }, ({ path }) => ({ contents: lateModule(path) }));
    onLoad({ filter: /\/undici\/lib\/dispatcher\/client\.js$/ }, ({ path }) => ({ contents: withLateHttp2(path) }));
  },
};

/** CommonJS with the properties of a module, which is loaded for the first that is read. */
function lateModule(path: string): string {
  const names = JSON.stringify(Object.getOwnPropertyNames(require(path)));
  return [
    "let loaded;",
    `for (const name of ${names})`,
    `  Object.defineProperty(exports, name, { enumerable: true, get: () => (loaded ??= require("${path}"))[name] });`,
  ].join("\n");
}

/** Which of HTTP/1 and HTTP/2 a server speaks is known when there is a connection. @throws Error when undici says it in another way */
function withLateHttp2(path: string): string {
  const source = readFileSync(path, "utf8");
  const eager = "const connectH2 = require('./client-h2.js')";
  if (!source.includes(eager)) throw new Error(`${path} has no ${eager}`);
  return source.replace(eager, "const connectH2 = (...args) => require('./client-h2.js')(...args)");
}
