import { AppError, type FieldError } from "@pricing-engine/chassis/errors";
import type { z } from "zod";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** JSON bytes of an envelope that fits the schema; throws AppError `invalid_message` when it does not. */
export function encodeEnvelope<Schema extends z.ZodType>(schema: Schema, message: z.input<Schema>): Buffer {
  return Buffer.from(JSON.stringify(checkEnvelope(schema, message)));
}

/**
 * The envelope in a message's bytes, checked. Throws AppError `invalid_message` (never retried, so a consumer puts the
 * message straight with the dead letters) for bad UTF-8, bad JSON and everything that does not fit the schema.
 */
export function decodeEnvelope<Schema extends z.ZodType>(schema: Schema, value: Buffer): z.output<Schema> {
  return checkEnvelope(schema, parseEnvelope(value));
}

/** The first half of {@link decodeEnvelope}: JSON, unchecked. */
export function parseEnvelope(value: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(value));
  } catch (cause) {
    throw new AppError("invalid_message", { cause, detail: "the message is not JSON" });
  }
}

/** The second half of {@link decodeEnvelope}. */
export function checkEnvelope<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fieldErrors: FieldError[] = result.error.issues.map(({ path, code, message }) => ({
    pointer: path.map((part) => `/${String(part)}`).join(""),
    code,
    message,
  }));
  const detail = fieldErrors.map(({ pointer, message }) => `${pointer || "/"}: ${message}`).join("; ");
  throw new AppError("invalid_message", { fieldErrors, detail: detail.slice(0, 500) });
}
