import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InfraError, type S3Endpoint, startInfra } from "@pricing-engine/hack/infra";

/** A private S3 server with one empty bucket, for tests that store something and stop it. */
export interface TestS3 extends AsyncDisposable {
  readonly place: S3Endpoint;
  /** Kills the server; what it has stored stays. */
  stop(): Promise<void>;
  /** Starts it again on the same port. */
  start(): Promise<void>;
}

/**
 * Takes a second where the server is a container or was built before, and some minutes where it must be built first. A text says why
 * there is none: a test that needs it is skipped with that.
 */
export async function makeTestS3(): Promise<TestS3 | string> {
  try {
    const server = await startInfra({
      dir: mkdtempSync(join(tmpdir(), "pricing-engine-s3-")),
      services: ["s3"],
      ports: "random",
      lifetime: "session",
      ephemeral: true,
      log: (line) => console.log(`infra: ${line}`),
    });
    return {
      place: server.endpoints.s3,
      stop: () => server.kill("s3"),
      start: () => server.restart("s3"),
      [Symbol.asyncDispose]: () => server.stop(),
    };
  } catch (error) {
    if (error instanceof InfraError) return error.message;
    throw error;
  }
}
