import { expect, it } from "vitest";
import { coalesceReads } from "./coalesce-reads.ts";

it("reads what is asked for in one turn together, and what comes while as many reads as may be are under way after them", async () => {
  const reads: { keys: readonly string[]; end: () => void }[] = [];
  const load = coalesceReads<string>({
    maxInFlight: 2,
    maxKeys: 3,
    readMany: (keys) =>
      new Promise((resolve) => {
        reads.push({ keys, end: () => resolve(new Map(keys.map((key) => [key, key]))) });
      }),
  });
  const ask = (text: string): Promise<(string | undefined)[]> => Promise.all([...text].map((key) => load(key)));
  const first = ask("abc");
  await Promise.resolve();
  const second = ask("de");
  await Promise.resolve();
  const third = ask("fghi");
  await Promise.resolve();
  expect(reads.map(({ keys }) => keys.join(""))).toEqual(["abc", "de"]);
  reads[0]?.end();
  expect(await first).toEqual(["a", "b", "c"]);
  reads[1]?.end();
  expect(await second).toEqual(["d", "e"]);
  expect(reads.map(({ keys }) => keys.join(""))).toEqual(["abc", "de", "fgh", "i"]);
  for (const { end } of reads) end();
  expect(await third).toEqual(["f", "g", "h", "i"]);
});
