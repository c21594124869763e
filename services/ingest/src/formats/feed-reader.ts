import type { RawPlan } from "@pricing-engine/contracts";

/** Why a document cannot be read on. What was read whole before it counts, except where nothing of the document may. */
export const feedFaults = [
  /** It is something else: another root, HTML, plain text. */
  "not_a_feed",
  /** A DOCTYPE: entities could be anything, so nothing of the document counts. */
  "doctype",
  /** Not well-formed at some place. */
  "malformed",
  /** It ended before its end. */
  "truncated",
  "too_deep",
  "too_large",
  "encoding",
] as const;
export type FeedFaultKind = (typeof feedFaults)[number];

export class FeedFault extends Error {
  readonly kind: FeedFaultKind;
  constructor(kind: FeedFaultKind, message: string) {
    super(message.slice(0, 300));
    this.kind = kind;
  }
}

/** Reads one document, in pieces of any size. */
export interface FeedReader {
  /** Calls `onPlan` for each plan that is whole. @throws FeedFault; then it must not be used any more */
  write(text: string): void;
  /** @throws FeedFault `truncated` when more should have come */
  end(): void;
}

export type FeedFormatReader = (onPlan: (plan: RawPlan) => void) => FeedReader;

/** Beyond these a document is an attack or an accident. Characters and counts. */
export const limits = {
  depth: 16,
  nameLength: 128,
  attributes: 64,
  /** Between two tags, or of one base plan in JSON. */
  stretch: 1024 * 1024,
  jsonBasePlan: 8 * 1024 * 1024,
  /** More zones than a plan may have are counted, not kept. */
  zones: 2001,
} as const;
