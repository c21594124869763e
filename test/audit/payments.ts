/**
 * Compares what clients were told of their payments with what the processors recorded and what our tables say. Pure; the
 * program in main.ts fetches the parts.
 */

/** `unanswered`: a time-out, or a connection that was dropped: it may have been taken. */
export type Told = "accepted" | "refused" | "unanswered";

export interface Tale {
  readonly told: Told;
  readonly amountMinor: number;
}

/** What clients were told, by correlationId. Of several answers for one id the one that promises most counts. */
export type Tales = ReadonlyMap<string, Tale>;

export interface Recorded {
  readonly correlationId: string;
  readonly amountMinor: number;
  readonly requestedAtMs: number;
}

export interface Row {
  readonly correlationId: string;
  readonly state: string;
  readonly processor: string | null;
  readonly amountMinor: number;
  readonly requestedAtMs: number | null;
}

export interface AuditInput {
  readonly tales: Tales;
  readonly default: readonly Recorded[];
  readonly fallback: readonly Recorded[];
  readonly rows: readonly Row[];
}

export interface Audit {
  readonly accepted: number;
  readonly refused: number;
  readonly unanswered: number;
  readonly recorded: { readonly default: number; readonly fallback: number };
  /** By kind; all empty when every promise was kept. Ids, or sentences that begin with one. */
  readonly faults: {
    /** Accepted, and at no processor. */
    readonly lost: readonly string[];
    /** At both processors. (One processor cannot have an id twice.) */
    readonly doubled: readonly string[];
    readonly recordedThoughRefused: readonly string[];
    /** At a processor, and no client ever asked for it. */
    readonly unasked: readonly string[];
    readonly wrongAmount: readonly string[];
    /** The row and the processors disagree. */
    readonly rowDiffers: readonly string[];
  };
}

const strength: Record<Told, number> = { refused: 0, unanswered: 1, accepted: 2 };

/** Adds what a client was told. */
export function note(tales: Map<string, Tale>, correlationId: string, tale: Tale): void {
  const before = tales.get(correlationId);
  if (before === undefined || strength[tale.told] > strength[before.told]) tales.set(correlationId, tale);
}

export function auditPayments({ tales, rows, ...dumps }: AuditInput): Audit {
  const at = { default: byId(dumps.default), fallback: byId(dumps.fallback) };
  const faults = {
    lost: [] as string[],
    doubled: [] as string[],
    recordedThoughRefused: [] as string[],
    unasked: [] as string[],
    wrongAmount: [] as string[],
    rowDiffers: [] as string[],
  };
  for (const [id, { told, amountMinor }] of tales) {
    const records = [at.default.get(id), at.fallback.get(id)].filter((record) => record !== undefined);
    if (told === "accepted" && records.length === 0) faults.lost.push(id);
    if (told === "refused" && records.length > 0) faults.recordedThoughRefused.push(id);
    if (records.length > 1) faults.doubled.push(id);
    for (const record of records) {
      if (record.amountMinor !== amountMinor)
        faults.wrongAmount.push(`${id}: ${record.amountMinor}, not ${amountMinor}`);
    }
  }
  for (const id of [...at.default.keys(), ...at.fallback.keys()]) if (!tales.has(id)) faults.unasked.push(id);
  faults.rowDiffers.push(...findRowFaults(rows, at));
  const count = (told: Told) => [...tales.values()].filter((tale) => tale.told === told).length;
  return {
    accepted: count("accepted"),
    refused: count("refused"),
    unanswered: count("unanswered"),
    recorded: { default: at.default.size, fallback: at.fallback.size },
    faults,
  };
}

type ById = ReadonlyMap<string, Recorded>;

function findRowFaults(rows: readonly Row[], at: { readonly default: ById; readonly fallback: ById }): string[] {
  const known = new Map(rows.map((row) => [row.correlationId, row]));
  const faults: string[] = [];
  for (const [name, records] of Object.entries(at)) {
    for (const [id, { amountMinor, requestedAtMs }] of records) {
      const row = known.get(id);
      if (row === undefined) faults.push(`${id}: at ${name}, without a row`);
      else if (row.state !== "settled") faults.push(`${id}: at ${name}, its row is ${row.state}`);
      else if (row.processor !== name) faults.push(`${id}: at ${name}, its row says ${row.processor}`);
      else if (row.amountMinor !== amountMinor) faults.push(`${id}: ${amountMinor}, its row says ${row.amountMinor}`);
      else if (row.requestedAtMs !== requestedAtMs) {
        faults.push(`${id}: requested at ${requestedAtMs}, its row says ${row.requestedAtMs}`);
      }
    }
  }
  for (const { correlationId, processor, state } of rows) {
    if (state !== "settled") continue;
    const records = processor === "default" ? at.default : at.fallback;
    if (!records.has(correlationId)) faults.push(`${correlationId}: settled at ${processor}, which does not know it`);
  }
  return faults;
}

function byId(records: readonly Recorded[]): Map<string, Recorded> {
  return new Map(records.map((record) => [record.correlationId, record]));
}

export function isClean({ faults }: Audit): boolean {
  return Object.values(faults).every((found) => found.length === 0);
}

export function renderAudit({ accepted, refused, unanswered, recorded, faults }: Audit): string {
  const lines = [
    `accepted ${accepted}, refused ${refused}, without an answer ${unanswered}`,
    `recorded ${recorded.default} at default, ${recorded.fallback} at fallback`,
  ];
  for (const [kind, found] of Object.entries(faults)) {
    lines.push(`${kind}: ${found.length}${found.length === 0 ? "" : `: ${found.slice(0, 5).join("; ")}`}`);
  }
  return lines.join("\n");
}

export interface Totals {
  readonly totalRequests: number;
  readonly totalAmount: number;
}

/** What a summary must say of a window, both ends inclusive. Exact: amounts are whole hundredths. */
export function sumUp(records: readonly Recorded[], fromMs: number, toMs: number): Totals {
  let totalRequests = 0;
  let totalMinor = 0;
  for (const { amountMinor, requestedAtMs } of records) {
    if (requestedAtMs < fromMs || requestedAtMs > toMs) continue;
    totalRequests += 1;
    totalMinor += amountMinor;
  }
  return { totalRequests, totalAmount: totalMinor / 100 };
}
