/**
 * The provider as a process: `HTTP_PORT`, `PROVIDER_SEED`, and files as arguments. With files it serves them, one a
 * request and then the last one, as `/feeds/samples`; `samples` is the first one of the examples.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startProvider } from "./provider.ts";

const sample = fileURLToPath(new URL("../../../examples/feeds/event-list-1.xml", import.meta.url));
const documents = process.argv.slice(2).map((file) => readFileSync(file === "samples" ? sample : file, "utf8"));
const provider = await startProvider({
  port: Number(process.env.HTTP_PORT ?? 0),
  seed: Number(process.env.PROVIDER_SEED ?? 1),
  feeds: documents.length === 0 ? {} : { samples: { documents } },
});
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => void provider.close().then(() => process.exit(0)));
}
const { READY_FILE: readyFile } = process.env;
if (readyFile !== undefined) {
  writeFileSync(`${readyFile}.tmp`, JSON.stringify({ httpPort: provider.port, pid: process.pid }));
  renameSync(`${readyFile}.tmp`, readyFile);
}
console.log(`provider: http://127.0.0.1:${provider.port}/feeds/samples`);
