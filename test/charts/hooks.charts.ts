import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { firstOf, render } from "./helm.ts";

const metrics = "# TYPE leader_election_master_status gauge\n";
const shop = ["--values", "charts/pricing-engine/examples/shop.yaml"];

/** What `helm test` runs in a pod, against a server of this machine that answers every path with `answer`. */
async function runHook(chart: string, args: readonly string[], answer: { status: number; body: string }) {
  const pod = firstOf(render(chart, ...args), "Pod").spec as { containers: { command: string[]; args: string[] }[] };
  const [container] = pod.containers;
  expect(container?.command).toEqual(["node", "--input-type=module", "--eval"]);
  const asked: string[] = [];
  const server = createServer(({ url = "" }, response) => {
    asked.push(url);
    response.writeHead(answer.status).end(answer.body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const script = container?.args[0]?.replaceAll(/http:\/\/[a-z-]+:\d+/g, `http://127.0.0.1:${port}`) ?? "";
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, "exit")]);
  server.close();
  return { asked, code, said };
}

describe.each([
  { chart: "pricing-engine-operator", args: [], paths: ["/readyz", "/metrics"] },
  { chart: "pricing-engine", args: shop, paths: ["/readyz"] },
])("helm test of $chart", ({ chart, args, paths }) => {
  it("passes when what it asks is ready", async () => {
    expect(await runHook(chart, args, { status: 200, body: metrics })).toMatchObject({ asked: paths, code: 0 });
  });

  it("fails, and says why, when it is not", async () => {
    const { code, said } = await runHook(chart, args, { status: 503, body: "the watch is not ready" });
    expect(code).toBe(1);
    expect(said).toMatch(/503: the watch is not ready/);
  });
});
