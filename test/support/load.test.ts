import { expect, it } from "vitest";
import { findBacksteps, type Observation } from "./load.ts";

function answer(startedMs: number, endedMs: number, value: number): Observation<number> {
  return { startedMs, endedMs, result: { ok: true, value } };
}

const same = (value: number): number => value;

it("finds an answer older than one that was seen before it was asked for", () => {
  const observations = [answer(0, 10, 1), answer(5, 20, 2), answer(25, 30, 1)];
  expect(findBacksteps(observations, same)).toEqual([{ shown: 2, later: 1, lateByMs: 10 }]);
});

it("lets answers to questions that overlap come in any order", () => {
  expect(findBacksteps([answer(0, 10, 2), answer(9, 20, 1), answer(21, 22, 2)], same)).toEqual([]);
});
