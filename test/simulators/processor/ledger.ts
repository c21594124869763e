import { appendFileSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";

export type LedgerEntry = {
  correlationId: string;
  amountMinor: number;
  requestedAt: string;
  requestedAtMs: number;
  recordedAt: string;
  refunded: boolean;
};

type LogLine =
  | { kind: "recorded"; entry: LedgerEntry }
  | { kind: "refunded"; correlationId: string }
  | { kind: "purged" };

/**
 * What a processor has recorded: one entry per correlationId, for good. Given a file, every change is appended to it before it
 * counts, so the record outlives this process too.
 */
export class Ledger {
  readonly #entries = new Map<string, LedgerEntry>();
  /** A descriptor. */
  readonly #file: number | undefined;

  constructor(file?: string) {
    if (file === undefined) return;
    mkdirSync(dirname(file), { recursive: true });
    const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
    for (const line of lines) {
      if (line !== "") this.#apply(JSON.parse(line) as LogLine);
    }
    this.#file = openSync(file, "a");
  }

  find(correlationId: string): LedgerEntry | undefined {
    return this.#entries.get(correlationId);
  }

  /** False when the id is there already: the first record stands. */
  record(entry: LedgerEntry): boolean {
    if (this.#entries.has(entry.correlationId)) return false;
    this.#write({ kind: "recorded", entry });
    return true;
  }

  /** False when there is nothing to refund; true also when it was refunded before. */
  refund(correlationId: string): boolean {
    const entry = this.#entries.get(correlationId);
    if (entry === undefined) return false;
    if (!entry.refunded) this.#write({ kind: "refunded", correlationId });
    return true;
  }

  purge(): void {
    this.#write({ kind: "purged" });
  }

  /** Count and sum over `requestedAt`, both ends inclusive; a refunded payment stays in. */
  summary(fromMs: number, toMs: number): { totalRequests: number; totalAmountMinor: number } {
    let totalRequests = 0;
    let totalAmountMinor = 0;
    for (const entry of this.#entries.values()) {
      if (entry.requestedAtMs < fromMs || entry.requestedAtMs > toMs) continue;
      totalRequests += 1;
      totalAmountMinor += entry.amountMinor;
    }
    return { totalRequests, totalAmountMinor };
  }

  *dump(): Iterable<LedgerEntry> {
    yield* this.#entries.values();
  }

  #write(line: LogLine): void {
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
    this.#apply(line);
  }

  #apply(line: LogLine): void {
    switch (line.kind) {
      case "recorded":
        this.#entries.set(line.entry.correlationId, line.entry);
        return;
      case "refunded": {
        const entry = this.#entries.get(line.correlationId);
        if (entry !== undefined) entry.refunded = true;
        return;
      }
      case "purged":
        this.#entries.clear();
    }
  }
}
