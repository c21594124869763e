import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { AppError } from "@pricing-engine/chassis/errors";
import { addLogFields, type HttpApp, type HttpContext } from "@pricing-engine/chassis/http";
import type { ImportLine, ImportProducts } from "../usecases/import-products.ts";
import { readCsv } from "./csv-lines.ts";
import { readNdjson } from "./ndjson-lines.ts";

/** `POST /api/v1/products:import` */
export function mountImport(app: HttpApp, { importProducts }: { importProducts: ImportProducts }): void {
  app.post("/api/v1/products:import", async (c) => {
    const read = formatOf(c.req.header("content-type"));
    const result = await importProducts(read(openBody(c)));
    addLogFields(c, { imported: result.imported, rejected: result.rejected_total });
    return c.json(result);
  });
}

function formatOf(type: string | undefined): (body: AsyncIterable<Buffer>) => AsyncIterable<ImportLine> {
  switch (type?.split(";", 1)[0]?.trim().toLowerCase()) {
    case undefined:
    case "application/x-ndjson":
    case "application/ndjson":
    case "application/jsonl":
    case "application/json":
      return readNdjson;
    case "text/csv":
      return readCsv;
    default:
      return refuseUnlessEmpty;
  }
}

/** No lines, when there is no body either: only a body has a type. */
// biome-ignore lint/correctness/useYield: it stands where lines are read
async function* refuseUnlessEmpty(body: AsyncIterable<Buffer>): AsyncGenerator<ImportLine> {
  for await (const chunk of body) {
    if (chunk.length > 0) {
      throw new AppError("unsupported_media_type", { detail: "send application/x-ndjson or text/csv" });
    }
  }
}

/** The body's bytes as they come: reading the next chunk is what asks the client for it. */
async function* openBody(c: HttpContext): AsyncGenerator<Buffer> {
  const encoding = c.req.header("content-encoding") ?? "identity";
  if (encoding !== "identity" && encoding !== "gzip") {
    throw new AppError("unsupported_media_type", { detail: "send gzip or no content-encoding" });
  }
  const incoming: Readable = c.env?.incoming ?? readableOf(c.req.raw.body);
  const bytes = encoding === "gzip" ? unpack(incoming) : incoming;
  try {
    for await (const chunk of bytes.iterator({ destroyOnReturn: false })) yield chunk;
  } catch (error) {
    throw new AppError("bad_request", {
      cause: error,
      detail: "the body ended early or is not what its encoding says",
    });
  } finally {
    // What is left of the body is drained once the answer is sent.
    if (bytes !== incoming) incoming.unpipe();
  }
}

/** Only where there is no socket's stream: to ask for the other one is to put a second reader on it, which pauses it when it is full. */
function readableOf(body: Request["body"]): Readable {
  return body === null ? Readable.from([]) : Readable.fromWeb(body);
}

/** Not a pipeline: that would destroy the request, and with it the connection, before anybody is told what is wrong. */
function unpack(incoming: Readable): Readable {
  const unpacked = createGunzip();
  // Whoever reads is told by the iterator; without a listener an error that comes later would end the process.
  unpacked.on("error", () => undefined);
  const endEarly = () => {
    if (!incoming.readableEnded) unpacked.destroy(new Error("the body ended early"));
  };
  incoming.once("error", endEarly).once("close", endEarly);
  return incoming.pipe(unpacked);
}
