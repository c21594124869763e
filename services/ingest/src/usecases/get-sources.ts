import type { SourceSettings, SourceState, SourcesResponse } from "@pricing-engine/contracts";
import type { SourceRow } from "../adapters/source-store.ts";
import { breakerAfter } from "../domain/schedule.ts";

export type GetSources = () => Promise<SourcesResponse>;

/** How each source of the settings is doing. */
export function makeGetSources(deps: {
  sources: () => readonly SourceSettings[];
  readSources: (names: readonly string[]) => Promise<SourceRow[]>;
}): GetSources {
  return async () => {
    const configured = deps.sources();
    const rows = new Map((await deps.readSources(configured.map(({ name }) => name))).map((row) => [row.name, row]));
    return { sources: configured.map((source) => describeSource(source, rows.get(source.name))) };
  };
}

function describeSource(
  { name, format }: SourceSettings,
  row: SourceRow | undefined,
): SourcesResponse["sources"][number] {
  const iso = (date: Date | null | undefined): string | null => date?.toISOString() ?? null;
  return {
    name,
    format,
    state: stateOf(row),
    last_success: iso(row?.lastSuccessAt),
    last_attempt: iso(row?.lastAttemptAt),
    last_error: row?.lastError ?? null,
    next_attempt: iso(row?.nextPollAt),
    plans: { seen: row?.seen ?? 0, changed: row?.changed ?? 0, rejected: row?.rejected ?? 0 },
    totals: row?.totals ?? { polls: 0, failures: 0, partials: 0, changed: 0 },
    rejected: row?.openRejections ?? 0,
  };
}

export function stateOf(row: Pick<SourceRow, "failures" | "lastOutcome"> | undefined): SourceState {
  if (row === undefined || row.lastOutcome === null) return "Pending";
  if (breakerAfter(row.failures) === "open") return "Open";
  if (row.lastOutcome === "partial") return "Partial";
  return row.failures > 0 ? "Failing" : "Healthy";
}
