import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { expect, it } from "vitest";
import { firstOf, render } from "./helm.ts";

/** What `helm test` runs, against servers of this machine: `ports` by the name of the Service. */
function runTest(ports: (service: string) => number) {
  const pod = firstOf(render("dev-infra"), "Pod").spec as { containers: { args: string[] }[] };
  const [script = ""] = pod.containers[0]?.args ?? [];
  const addresses = /([a-z][a-z0-9-]*)\/\d+(?=[ ;])/g;
  expect([...script.matchAll(addresses)].map(([, service]) => service)).toEqual(
    expect.arrayContaining(["kafka", "redis", "s3", "processor-default", "processor-fallback"]),
  );
  const here = script.replaceAll(addresses, (_, service: string) => `127.0.0.1/${ports(service)}`);
  // Without a database: psql has no part in this.
  return spawnSync("bash", ["-ec", `psql() { :; }\n${here}`], { encoding: "utf8", env: { PATH: process.env.PATH } });
}

it.each(["kafka", "s3", "processor-fallback"])("helm test of dev-infra fails when %s does not answer", async (down) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  try {
    expect(runTest(() => port)).toMatchObject({ status: 0, stdout: `127.0.0.1/${port} answers\n`.repeat(5) });
    // Nobody listens at port 1.
    expect(runTest((service) => (service === down ? 1 : port)).status).not.toBe(0);
  } finally {
    server.close();
  }
});
