import type { EngineStatus, StatusSummary } from "../api/status.ts";

/** What `kubectl get pe` shows of a status. */
export function summarize({ workers, partitions }: Pick<EngineStatus, "workers" | "partitions">): StatusSummary {
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
  const ready = sum(workers.map((worker) => Math.min(worker.ready, worker.desired)));
  const lags = workers.flatMap(({ lag }) => (lag === undefined ? [] : [lag]));
  const first = partitions.map(({ aheadUntil }) => aheadUntil).sort()[0];
  return {
    workers: `${ready}/${sum(workers.map(({ desired }) => desired))}`,
    ...(lags.length === 0 ? {} : { lag: sum(lags) }),
    ...(first === undefined ? {} : { partitionsUntil: monthBefore(first) }),
  };
}

/** The month before the one that an instant such as `2027-04-01T00:00:00.000Z` begins. */
function monthBefore(instant: string): string {
  const [year, month] = [Number(instant.slice(0, 4)), Number(instant.slice(5, 7))];
  return month === 1 ? `${year - 1}-12` : `${year}-${String(month - 1).padStart(2, "0")}`;
}
