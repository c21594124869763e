import { readFile } from "node:fs/promises";
import { eventually } from "@pricing-engine/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type LocalEngine, startLocalEngine } from "../support/local-engine.ts";
import { readCalls } from "../support/readme.ts";

let engine: LocalEngine;

beforeAll(async () => {
  engine = await startLocalEngine(await readFile(new URL("../../examples/shop.yaml", import.meta.url), "utf8"));
}, 300_000);
afterAll(() => engine?.[Symbol.asyncDispose]());

// What differs from run to run: only that it is there, and of its form, can be compared.
const volatileForms: Readonly<Record<string, RegExp>> = {
  task_id: /^[0-9a-f]{8}-[0-9a-f-]{27}$/,
  decision_id: /^d1\./,
  created_at: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
  updated_at: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
  finished_at: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
  decided_at: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
  valid_until: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
};

/** The value with what is volatile replaced by its form; `found` hears what it was. */
function masked(value: unknown, found: (text: string) => void): unknown {
  if (Array.isArray(value)) return value.map((item) => masked(item, found));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => {
    const form = volatileForms[key];
    if (form === undefined || typeof item !== "string" || !form.test(item)) return [key, masked(item, found)];
    found(item);
    return [key, `a ${key}`];
  });
  return Object.fromEntries(entries);
}

it("shows calls that work, with the answers that they get", async () => {
  const calls = readCalls(await readFile(new URL("../../README.md", import.meta.url), "utf8"));
  expect(calls.length).toBeGreaterThanOrEqual(6);
  // What the page calls an id, and what it is here.
  const known = new Map([["default.shop.", engine.prefix]]);
  const here = (text: string): string =>
    [...known].reduce((result, [told, real]) => result.replaceAll(told, real), text);
  for (const { command, method, target, headers, body, answer } of calls) {
    // A task may still be running, and its price on the way to the cache.
    await eventually(
      async () => {
        const raw = body === undefined ? {} : { raw: body };
        const actual = await engine.client.call(method, here(target), { ...raw, headers });
        const told: string[] = [];
        const real: string[] = [];
        const expected = masked(JSON.parse(here(JSON.stringify(answer))), (text) => told.push(text));
        expect(
          masked(actual.body, (text) => real.push(text)),
          command,
        ).toEqual(expected);
        for (const [index, text] of told.entries()) known.set(text, real[index] ?? text);
      },
      { timeoutMs: method === "GET" ? 15_000 : 0 },
    );
  }
});
