import type { Read } from "./protocol.ts";

export type FillRequest = {
  productId: string;
  contextKey: string;
  generation: string;
  policyVersion: string;
  sequence: string;
  /** The marker that the ticket saw. */
  seenMarker: string | undefined;
  /** Milliseconds; 0 raises the marker and keeps no entry. */
  ttlMs: number;
  markerTtlMs: number;
  body: Buffer;
};

export type KnownRequest = { productId: string; generation: string; placeholder: string; ttlMs: number };

export type FillReply =
  | { outcome: "stored" }
  | { outcome: "kept"; body: Buffer }
  | { outcome: "refused"; reason: RefusalReason };
export type RefusalReason = "generation" | "policy" | "sequence" | "marker" | "late";

/** The atomic steps of the protocol. Redis runs them as scripts; the simulation has them in memory. */
export type CachePort = {
  read(productId: string, contextKey: string): Promise<Read>;
  fill(request: FillRequest): Promise<FillReply>;
  /** Raises markers that are lower or absent. */
  raiseMarkers(marks: readonly { productId: string; sequence: string }[], ttlMs: number): Promise<void>;
  /** Meta, made with this generation and policy version 0 when there is none, and the marker, or this placeholder for so long. */
  ensureKnown(wanted: KnownRequest): Promise<{ meta: string; marker: string }>;
  /** Another generation; the policy version stays. */
  replaceGeneration(generation: string): Promise<void>;
  /** Raises the policy version; makes meta with this generation when there is none. */
  raisePolicyVersion(policyVersion: string, generation: string): Promise<void>;
};
