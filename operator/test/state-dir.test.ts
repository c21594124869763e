import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { showStatus } from "../src/cli/status.ts";
import { findRunningOperator, openStateDir, takeLock } from "../src/runtime/local/state-dir.ts";

const facts = { engine: "default/shop", address: "http://127.0.0.1:9999", resourceFile: "shop.yaml" };
let path: string;

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "pe-state-"));
});
afterEach(() => rmSync(path, { recursive: true, force: true }));

function status(json: boolean) {
  const lines: string[] = [];
  const code = showStatus(openStateDir(path), json, (line) => lines.push(line));
  return { code, text: lines.join("\n") };
}

test("of several starts at once, one becomes the operator and the others learn who", async () => {
  const module = new URL("../src/runtime/local/state-dir.ts", import.meta.url).href;
  const script = `
    import { openStateDir, takeLock } from ${JSON.stringify(module)};
    const dir = openStateDir(${JSON.stringify(path)});
    process.stdin.once("data", () => {
      console.log(takeLock(dir, ${JSON.stringify(facts)})?.pid ?? "mine");
      // Holds it until all have tried.
      process.stdin.once("data", () => process.exit());
    });
    console.log("there");`;
  const children = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ["--input-type=module", "--eval", script], { stdio: ["pipe", "pipe", "inherit"] }),
  );
  const hear = () =>
    Promise.all(children.map(async ({ stdout }) => String((await once(stdout, "data"))[0] as Buffer).trim()));
  await hear();
  const answers = hear();
  for (const { stdin } of children) stdin.write("go\n");
  const said = await answers;
  const winner = children[said.indexOf("mine")];
  expect(said.filter((answer) => answer !== "mine")).toEqual(Array(3).fill(String(winner?.pid)));
  const ends = children.map((child) => once(child, "close"));
  for (const { stdin } of children) stdin.write("end\n");
  await Promise.all(ends);
  expect(findRunningOperator(openStateDir(path))).toBeUndefined();
}, 30_000);

test("a status names payments that a person must look at, and only while there are any", () => {
  const dir = openStateDir(path);
  takeLock(dir, facts);
  const processors = [{ name: "default", state: "Healthy", since: "2026-01-31T12:00:00.000Z", latency: "5ms" }];
  const shown = (manualReview: number) => {
    const lists = { conditions: [], workers: [], partitions: [], sources: [], notImplemented: [] };
    writeFileSync(dir.statusFile, JSON.stringify({ ...facts, ...lists, processors, route: "default", manualReview }));
    return status(false).text;
  };
  expect(shown(0)).not.toContain("review");
  expect(shown(3)).toContain("Manual review: 3 for a person to look at: pnpm payments manual-review lists them");
});

test("an engine that starts is not Ready because the one before it was", () => {
  expect(status(false)).toEqual({ code: 1, text: "No engine runs. Start one with: npm start" });
  const conditions = [{ type: "Ready", status: "True", reason: "", message: "", lastTransitionTime: "" }];
  const dir = openStateDir(path);
  writeFileSync(dir.statusFile, JSON.stringify({ ...facts, conditions, workers: [], partitions: [] }));
  expect(takeLock(dir, facts)).toBeUndefined();
  const { code, text } = status(false);
  expect(code).toBe(1);
  expect(text).toContain("default/shop: not ready: it starts");
  expect(JSON.parse(status(true).text)).toMatchObject({ running: true, pid: process.pid, conditions: [] });
});
