import { expect, it } from "vitest";
import { makeTurns } from "./turns.ts";

it("gives places in turn, and none to who waits too long or in too long a queue", async () => {
  const turns = makeTurns({ places: 1, waiting: 2, patienceMs: 30 });
  const first = await turns.take();
  const [second, third, fourth] = [turns.take(), turns.take(), turns.take()];
  expect(await fourth).toBeUndefined();
  first?.();
  first?.();
  const place = await second;
  expect(place).toBeDefined();
  expect(await third).toBeUndefined();
  place?.();
  expect(await turns.take()).toBeDefined();
});
