import type { CatalogEventData } from "@pricing-engine/contracts";

/** An event that waits for its batch to be looked up. */
export interface WaitingEvent extends Pick<CatalogEventData, "id" | "kind" | "contentHash"> {
  /** Its message; good until the batch is cleared. */
  readonly message: Buffer;
}

/**
 * Events of one batch, as messages in a piece of memory that the next batch uses again. As objects or texts they would outlive the
 * first collections of garbage and grow old by the hundred thousand: a feed of 50 MB would take 100 MB more memory (decision 0041).
 */
export interface EventBatch {
  add(event: Omit<WaitingEvent, "message">, message: string): void;
  readonly events: readonly WaitingEvent[];
  readonly isFull: boolean;
  clear(): void;
}

const maxEvents = 200;
const fullBytes = 256 * 1024;
/** A batch ends between two pieces of a document, so it may become larger than full; what it took then is given back. */
const keptBytes = 512 * 1024;
/** The most that a UTF-16 unit takes in UTF-8. */
const bytesPerUnit = 3;

export function makeEventBatch(): EventBatch {
  const kept = Buffer.allocUnsafeSlow(keptBytes);
  let memory = kept;
  let used = 0;
  let bytes = 0;
  let events: WaitingEvent[] = [];

  return {
    add({ id, kind, contentHash }, message) {
      const most = message.length * bytesPerUnit;
      // Those before stay in the piece that they are in.
      if (used + most > memory.length) {
        memory = Buffer.allocUnsafeSlow(Math.max(keptBytes, most));
        used = 0;
      }
      const length = memory.write(message, used);
      events.push({ id, kind, contentHash, message: memory.subarray(used, used + length) });
      used += length;
      bytes += length;
    },
    get events() {
      return events;
    },
    get isFull() {
      return events.length >= maxEvents || bytes >= fullBytes;
    },
    clear() {
      memory = kept;
      used = 0;
      bytes = 0;
      events = [];
    },
  };
}
