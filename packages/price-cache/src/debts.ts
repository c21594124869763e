/** Sequences (and a policy version) that were shown but could not be left in Redis. */
export type Debts = {
  add(productId: string, sequence: string, policyVersion: string): void;
  has(productId: string): boolean;
  isEmpty(): boolean;
  /** True when so much is owed that a new generation is cheaper. */
  isOverflowing(): boolean;
  snapshot(): { marks: { productId: string; sequence: string }[]; policyVersion: string | undefined };
  /** Takes off what was paid, unless more is owed by now. */
  settle(paid: { marks: readonly { productId: string; sequence: string }[]; policyVersion: string | undefined }): void;
  clear(): void;
};

export function makeDebts(maxProducts: number): Debts {
  const owed = new Map<string, string>();
  let owedPolicy: string | undefined;
  return {
    add(productId, sequence, policyVersion) {
      const known = owed.get(productId);
      if (known === undefined || known < sequence) owed.set(productId, sequence);
      if (owedPolicy === undefined || owedPolicy < policyVersion) owedPolicy = policyVersion;
    },
    has: (productId) => owed.has(productId),
    isEmpty: () => owed.size === 0,
    isOverflowing: () => owed.size > maxProducts,
    snapshot: () => ({
      marks: Array.from(owed, ([productId, sequence]) => ({ productId, sequence })),
      policyVersion: owedPolicy,
    }),
    settle({ marks, policyVersion }) {
      for (const { productId, sequence } of marks) if (owed.get(productId) === sequence) owed.delete(productId);
      if (owedPolicy === policyVersion) owedPolicy = undefined;
    },
    clear() {
      owed.clear();
      owedPolicy = undefined;
    },
  };
}
