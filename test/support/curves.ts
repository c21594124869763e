import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ScalingJournalLine } from "./local-engine.ts";

/**
 * Writes what a role's group went through for the replay of operator/src/core/recorded.test.ts, when `RECORD_SCALING_CURVES` names a
 * directory (operator/src/core/fixtures). Members lose their ids, and partitions share their list of keys.
 */
export function recordCurve(name: string, lines: readonly ScalingJournalLine[]): void {
  const folder = process.env.RECORD_SCALING_CURVES;
  const [first] = lines;
  if (folder === undefined || first === undefined) return;
  const partitionsOf = (line: ScalingJournalLine) => line.look.measured?.partitions ?? [];
  const keys = [...new Set(lines.flatMap((line) => partitionsOf(line).map(({ key }) => key)))];
  const shortOf = (key: string) => key.replace(/^[^.]*\.[^.]*\./, "");
  const members = [...new Set(lines.flatMap((line) => partitionsOf(line).flatMap(({ member }) => member ?? [])))];
  const looks = lines.map(({ look }) => {
    const { atMs, measured, ready, frozenBy, beside } = look;
    const of = (key: string) => measured?.partitions.find((partition) => partition.key === key);
    return {
      atMs: Math.round(atMs - first.look.atMs),
      ready,
      ...(frozenBy === undefined ? {} : { frozenBy }),
      ...(beside === undefined || beside === 0 ? {} : { beside }),
      ...(measured === undefined
        ? {}
        : {
            group: measured.group,
            end: keys.map((key) => of(key)?.end ?? 0),
            committed: keys.map((key) => of(key)?.committed ?? 0),
            member: keys.map((key) => members.indexOf(of(key)?.member ?? "")),
          }),
    };
  });
  const retries = keys.map((key) => partitionsOf(first).find((one) => one.key === key)?.isRetry === true);
  const { downWindowMs: _shortened, ...limits } = first.limits;
  const curve = { limits, start: first.decision.before, keys: keys.map(shortOf), retries, looks };
  const body = JSON.stringify(curve).replaceAll('{"atMs"', '\n{"atMs"');
  writeFileSync(join(folder, `${name}.json`), `${body}\n`);
}
