import type { PaymentsSummaryResponse } from "@pricing-engine/contracts";

export interface RinhaInput {
  /** The engine's summary at the end of the load. */
  readonly summary: PaymentsSummaryResponse;
  readonly accepted: number;
  readonly amount: number;
  readonly p99Ms: number;
  readonly isConsistent: boolean;
}

export interface RinhaScore {
  /** (gross − fees) × (1 + bonus − penalty). */
  readonly score: number;
  /** Without bonus, as a share of all that was accepted at the cheaper processor. */
  readonly shareOfCeiling: number;
  readonly bonus: number;
  /** Share of the amount that went to the fallback. */
  readonly fallbackShare: number;
}

const fees = { default: 0.07, fallback: 0.1 };

/** As the final of 2025 counted. */
export function scoreRinha({ summary, accepted, amount, p99Ms, isConsistent }: RinhaInput): RinhaScore {
  const { default: cheap, fallback } = summary;
  const net = cheap.totalAmount * (1 - fees.default) + fallback.totalAmount * (1 - fees.fallback);
  const bonus = Math.max(Math.round((11 - p99Ms) * 0.02 * 100) / 100, 0);
  const penalty = isConsistent ? 0 : 0.35;
  return {
    score: net * (1 + bonus - penalty),
    shareOfCeiling: net / (accepted * amount * (1 - fees.default)),
    bonus,
    fallbackShare: fallback.totalAmount / (cheap.totalAmount + fallback.totalAmount),
  };
}
