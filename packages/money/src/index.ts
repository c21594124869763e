export { findAmount, formatMinor, fromMinor, parseAmount, toMinor } from "./amount.ts";
export { isCurrency, minorDigits } from "./currency.ts";
export {
  add,
  compare,
  type Decimal,
  decimal,
  equals,
  findDecimal,
  multiply,
  type Rounding,
  roundDouble,
  roundTo,
  shift,
  subtract,
  toText,
} from "./decimal.ts";
export { MoneyError } from "./errors.ts";
