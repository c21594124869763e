/** A row on its way to a sink. */
export interface PendingRow {
  /** Grows within an aggregate in commit order. */
  id: bigint;
  aggregate: string;
  topic: string;
  key: string | null;
  payload: string;
  headers: Record<string, string>;
  createdAtMs: number;
  /** Faults of its own so far. */
  attempts: number;
}

/** What became of a claim. Rows named in neither list stay as they are. */
export interface Settlement {
  /** Acknowledged by the sink. */
  done: bigint[];
  /** Refused for their own sake. */
  faults: { id: bigint; message: string }[];
}

/**
 * What the relay asks of the store. A claim is exclusive while its holder lives, hands out, per aggregate, the oldest
 * rows without gaps in ascending order (an aggregate whose oldest row waits for its retry is left out), and is settled in
 * one step. A holder that dies or stalls loses it; what it still sends was unacknowledged, so it only repeats.
 */
export interface OutboxPort {
  /**
   * Runs `deliver` on up to `limit` rows and settles. Undefined when there was nothing to claim; `more` when something that could be
   * claimed at once may be left; `held`, and nothing claimed, when all that there is was in the hands of others.
   */
  claim(
    sink: string,
    limit: number,
    deliver: (rows: PendingRow[]) => Promise<Settlement>,
  ): Promise<{ claimed: number; more: boolean; held: boolean } | undefined>;
  /** Whether a row has waited for longer than this. */
  isLate(sink: string, afterMs: number): Promise<boolean>;
}
