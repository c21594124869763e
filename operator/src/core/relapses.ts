import type { ScaleDecision } from "./scale.ts";

/** For tests: how often, within ten minutes, a number was stepped down to and found too few a second time. */
export function countRelapses(decisions: readonly (ScaleDecision & { readonly atMs: number })[]): number {
  const ups = decisions.filter(
    ({ atMs, before, desired }) =>
      desired > before &&
      decisions.some(
        (down) => down.desired === before && down.before > before && down.atMs < atMs && atMs - down.atMs < 180_000,
      ),
  );
  return ups.filter((up, index) =>
    ups.slice(0, index).some((earlier) => earlier.before === up.before && up.atMs - earlier.atMs < 600_000),
  ).length;
}
