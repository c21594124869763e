import type { Customer } from "./types.ts";

/** What a `decision_id` says: this price, for this customer's context, until then. */
export interface Decision {
  readonly productId: string;
  readonly priceMinor: number;
  readonly currency: string;
  readonly customer: Customer;
  readonly quantity: number;
  /** What was asked for, not what it came to: undefined is the product's own currency. */
  readonly requestedCurrency: string | undefined;
  readonly policyVersion: number;
  /** Sequence of the market price that the quote was made from. */
  readonly marketSequence: number;
  /** The list price that applied, for an explanation after it was changed. */
  readonly listPriceMinor: number | undefined;
  readonly issuedAtMs: number;
  readonly validUntilMs: number;
}

/** Base64url text of the HMAC of a text under one key; injected, so that this stays pure. */
export type Hmac = (text: string) => string;

export type DecisionResult =
  | { readonly ok: true; readonly decision: Decision }
  | { readonly ok: false; readonly code: "malformed" | "forged" | "unknown_key" };

const version = "d1";

/** `d1.<key id>.<payload>.<hmac>`: signed, compact, safe in a URL. The key id must be base64url text. */
export function signDecision(decision: Decision, keyId: string, hmac: Hmac): string {
  const text = `${version}.${keyId}.${encode(decision)}`;
  return `${text}.${hmac(text)}`;
}

/**
 * What a token says, when one of our keys signed it. Whether it has expired is for the caller: an explanation may still
 * be asked for a price that can no longer be had.
 */
export function verifyDecision(token: string, findHmac: (keyId: string) => Hmac | undefined): DecisionResult {
  const parts = token.split(".");
  const [tokenVersion, keyId, payload, mac] = parts;
  if (parts.length !== 4 || tokenVersion !== version || !keyId || !payload || !mac) {
    return { ok: false, code: "malformed" };
  }
  const hmac = findHmac(keyId);
  if (hmac === undefined) return { ok: false, code: "unknown_key" };
  if (!equalInConstantTime(mac, hmac(`${version}.${keyId}.${payload}`))) return { ok: false, code: "forged" };
  const decision = decode(payload);
  return decision === undefined ? { ok: false, code: "malformed" } : { ok: true, decision };
}

/** A price may be had up to and including its last millisecond. */
export function isExpired(decision: Decision, nowMs: number): boolean {
  return nowMs > decision.validUntilMs;
}

// An array instead of an object: the names would be half of the token.
function encode(decision: Decision): string {
  const { customer } = decision;
  const fields = [
    decision.productId,
    decision.priceMinor,
    decision.currency,
    customer.prime ? 1 : 0,
    customer.segment,
    customer.location,
    decision.quantity,
    decision.requestedCurrency ?? 0,
    decision.policyVersion,
    decision.marketSequence,
    decision.listPriceMinor ?? -1,
    decision.issuedAtMs,
    decision.validUntilMs - decision.issuedAtMs,
  ];
  return Buffer.from(JSON.stringify(fields), "utf8").toString("base64url");
}

// What a key of ours has signed is well-formed unless a release changed the layout; so a loose check is enough.
function decode(payload: string): Decision | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
  if (!Array.isArray(fields) || fields.length !== 13) return undefined;
  const text = (index: number): string => String(fields[index]);
  const number = (index: number): number => Number(fields[index]);
  const listPriceMinor = number(10);
  return {
    productId: text(0),
    priceMinor: number(1),
    currency: text(2),
    customer: { prime: number(3) === 1, segment: text(4), location: text(5) },
    quantity: number(6),
    requestedCurrency: fields[7] === 0 ? undefined : text(7),
    policyVersion: number(8),
    marketSequence: number(9),
    listPriceMinor: listPriceMinor < 0 ? undefined : listPriceMinor,
    issuedAtMs: number(11),
    validUntilMs: number(11) + number(12),
  };
}

function equalInConstantTime(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let index = 0; index < a.length; index += 1) difference |= a.charCodeAt(index) ^ b.charCodeAt(index);
  return difference === 0;
}
