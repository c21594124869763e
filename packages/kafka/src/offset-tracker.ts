/**
 * What may be committed for one partition: the offset below which everything is finished. Work finishes in any order;
 * the frontier moves only over a contiguous run, so a crash repeats work and never skips it. Offsets may have gaps
 * (compaction, control records): only what was tracked counts. Pure.
 */
export interface OffsetTracker {
  /** A record was taken in hand. Offsets below the position are ignored (a fetch may repeat them): false. */
  track(offset: bigint): boolean;
  /** Nothing up to here needs work (a gap at the end of a fetch). */
  skipTo(nextOffset: bigint): void;
  /** False when the offset is not in hand. */
  finish(offset: bigint): boolean;
  /** The next offset that the group has to read: what to commit. Never decreases. */
  frontier(): bigint;
  /** The next offset expected from a fetch. */
  position(): bigint;
  /** Tracked and not yet below the frontier. */
  size(): number;
}

export function makeOffsetTracker(firstOffset: bigint): OffsetTracker {
  // A queue of offsets in order with a moving head; compacted when the head has run far.
  let queue: bigint[] = [];
  let head = 0;
  let position = firstOffset;
  const open = new Set<bigint>();

  const advance = () => {
    for (let first = queue[head]; first !== undefined && !open.has(first); first = queue[head]) head += 1;
    if (head > 1024 && head * 2 > queue.length) {
      queue = queue.slice(head);
      head = 0;
    }
  };

  return {
    track(offset) {
      if (offset < position) return false;
      queue.push(offset);
      open.add(offset);
      position = offset + 1n;
      return true;
    },
    skipTo(nextOffset) {
      if (nextOffset > position) position = nextOffset;
    },
    finish(offset) {
      if (!open.delete(offset)) return false;
      advance();
      return true;
    },
    frontier: () => queue[head] ?? position,
    position: () => position,
    size: () => queue.length - head,
  };
}
