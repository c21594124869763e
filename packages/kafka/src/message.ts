/** Where a record lies in Kafka. */
export interface Position {
  topic: string;
  partition: number;
  offset: bigint;
}

/**
 * What a handler sees. `topic`, `partition` and `offset` are those of the record as it was first published; a copy on
 * the retry topic keeps them, and `delivery` says where this copy lies.
 */
export interface Message extends Position {
  key: string | null;
  /** Empty for a tombstone. */
  value: Buffer;
  /** Headers as text; of a repeated header the last one. Those of this package (`pe-…`) are left out. */
  headers: Record<string, string>;
  /** 1 on the first delivery; outages never count. */
  attempt: number;
  timestampMs: number;
  delivery: Position;
}

/** Header values exactly as Kafka holds them. */
export type RawHeaders = Record<string, Buffer | string | (Buffer | string)[] | undefined>;

/** The bytes behind a {@link Message}, kept so that a dead letter can be the same ones. */
export interface RawRecord extends Position {
  key: Buffer | null;
  value: Buffer | null;
  headers: RawHeaders;
  timestampMs: number;
}
