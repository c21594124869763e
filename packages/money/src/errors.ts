/** What a text or a number that is not money is refused with; `reason` is for code, the message for people. */
export class MoneyError extends Error {
  readonly reason: "unknown_currency" | "not_a_decimal" | "too_precise" | "out_of_range";

  constructor(reason: MoneyError["reason"], message: string) {
    super(message);
    this.name = "MoneyError";
    this.reason = reason;
  }
}
