import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { AppError } from "@pricing-engine/chassis/errors";
import type { HttpApp } from "@pricing-engine/chassis/http";

const require = createRequire(import.meta.url);

const files: Record<string, string> = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
  "favicon-32x32.png": "image/png",
};

// Nothing from elsewhere and no inline script: the page works offline and cannot be made to call others.
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>PricingEngine API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`;

const start = `SwaggerUIBundle({ url: "openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null });\n`;

/** `/openapi.json` and `/docs`, both open to everybody. The document is made on first use: it costs some memory. */
export function mountDocs(app: HttpApp, loadDocument: () => Promise<string>): void {
  let document: Promise<string> | undefined;
  app.get("/openapi.json", async (c) => {
    document ??= loadDocument();
    return c.body(await document, 200, { "content-type": "application/json", "cache-control": "no-cache" });
  });
  app.get("/docs", (c) =>
    c.body(page, 200, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": contentSecurityPolicy,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "no-cache",
    }),
  );
  app.get("/docs/start.js", (c) => c.body(start, 200, { "content-type": "text/javascript; charset=utf-8" }));
  app.get("/docs/:file", async (c) => {
    const name = c.req.param("file");
    const type = Object.hasOwn(files, name) ? files[name] : undefined;
    if (type === undefined) throw new AppError("not_found");
    const folder = dirname(require.resolve("swagger-ui-dist/package.json"));
    const bytes = await readFile(join(folder, name));
    return c.body(new Uint8Array(bytes), 200, { "content-type": type, "cache-control": "public, max-age=3600" });
  });
}
