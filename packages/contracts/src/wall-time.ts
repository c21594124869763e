/** A time on somebody's clock: what it shows, and from which offset when it says so. */
export type WallTime = {
  /** `2021-06-30T21:00:00`, as it was given. */
  readonly local: string;
  /** The same digits read as UTC. */
  readonly asUtcMs: number;
  /** Minutes east of UTC; undefined when the text names no zone. */
  readonly offsetMinutes: number | undefined;
};

const shape = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?(?:([Zz])|([+-])(\d\d):?(\d\d))?$/;

/** Undefined for what no clock and calendar show: `2021-09-31`, `24:00:00`, year 0. Fractions of a second are dropped. */
export function findWallTime(text: string): WallTime | undefined {
  const match = shape.exec(text);
  if (match === null) return undefined;
  const [, year = "", month = "", day = "", hour = "", minute = "", second = "00", z, sign, offHour, offMinute] = match;
  const digits = [year, month, day, hour, minute, second].map(Number);
  const [y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0] = digits;
  if (y < 1 || mo < 1 || mo > 12 || d < 1 || d > daysIn(y, mo) || h > 23 || mi > 59 || s > 59) return undefined;
  if (Number(offHour ?? 0) > 23 || Number(offMinute ?? 0) > 59) return undefined;
  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const east = Number(offHour ?? 0) * 60 + Number(offMinute ?? 0);
  const offsetMinutes = z !== undefined ? 0 : sign === undefined ? undefined : sign === "-" ? -east : east;
  // Date.UTC takes years below 100 for those of the last century; an ISO text is taken as it is.
  return { local, asUtcMs: Date.parse(`${local}Z`), offsetMinutes };
}

const firstMs = Date.parse("0001-01-01T00:00:00.000Z");
const lastMs = Date.parse("9999-12-31T23:59:59.999Z");

/** Whether an instant has a year of four digits in UTC: an offset may lead out of them, and neither RFC 3339 nor Postgres follows. */
export function isNamableInstant(ms: number): boolean {
  return ms >= firstMs && ms <= lastMs;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
