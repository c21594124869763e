export { contextKey, type PriceContext } from "./context-key.ts";
export { type FillOutcome, type Lookup, makePriceCache, type PriceCache } from "./make-price-cache.ts";
export {
  type AskedMiss,
  decodeAnswers,
  encodeAnswers,
  encodeMisses,
  type MissAnswer,
  maxMissesPerBatch,
  missBatchPath,
} from "./miss-batch.ts";
export type { RefusalReason } from "./port.ts";
export type { Facts, Ticket } from "./protocol.ts";
export { type Computed, type ReadThrough, readThrough } from "./read-through.ts";
export { decodeTicket, encodeTicket, flightKey, ticketHeader } from "./ticket.ts";
