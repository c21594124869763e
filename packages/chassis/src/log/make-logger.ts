import { trace } from "@opentelemetry/api";
import {
  type DestinationStream,
  type LoggerOptions as LoggerConfig,
  type Logger as PinoLogger,
  pino,
  stdSerializers,
} from "pino";
import { AppError } from "../errors/index.ts";
import { standardOutput } from "./standard-output.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
export type Logger = PinoLogger;

export type LoggerOptions = {
  name: string;
  level?: LogLevel;
  /** Where the lines go; standard output when left out. */
  destination?: DestinationStream;
};

const secretKeys = [
  "authorization",
  "Authorization",
  "cookie",
  "apiKey",
  "api_key",
  "key_secret",
  "password",
  "secret",
  "token",
  "user_location",
  "userLocation",
  "customer_id",
  "customerId",
  "email",
];
const redactPaths = [
  ...secretKeys.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]),
  'headers["x-api-key"]',
  '*.headers["x-api-key"]',
];
const urlPassword = /\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s/@]+@/gi;

/** Removes passwords from the URLs in a text (connection errors quote them). */
export function redactText(text: string): string {
  return text.includes("://") ? text.replace(urlPassword, "$1:[redacted]@") : text;
}

/**
 * JSON lines with the current trace id mixed in and secrets and personal data redacted. `logger.level = "debug"`
 * takes effect at once, also for the children made before (make them per component, not per request: they are kept).
 */
export function makeLogger({ name, level = "info", destination = standardOutput() }: LoggerOptions): Logger {
  const children: Logger[] = [];
  const options: LoggerConfig = {
    name,
    level,
    onChild: (child) => void children.push(child),
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: redactPaths, censor: "[redacted]" },
    mixin: () => {
      const context = trace.getActiveSpan()?.spanContext();
      return context === undefined ? {} : { traceId: context.traceId, spanId: context.spanId };
    },
    serializers: { err: serializeError, error: serializeError },
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const logger = pino(options, destination);
  logger.on("level-change", (now, _nowValue, before, _beforeValue, changed) => {
    if (changed !== logger) return;
    for (const child of children) if (child.level === before) child.level = now;
  });
  return logger;
}

/**
 * A child that redacts nothing, for events whose every field is ours and harmless: looking for secrets is nine tenths of
 * what such a line costs, which counts where there are thousands a second. Make it once.
 */
export function makePlainLogger(logger: Logger): Logger {
  return logger.child({}, { redact: [] });
}

function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { type, message, stack } = stdSerializers.err(error);
  return {
    type,
    message: redactText(message),
    stack: redactText(stack),
    ...(error instanceof AppError ? { code: error.code, context: error.context } : {}),
    ...(error instanceof AppError ? {} : "code" in error ? { code: error.code } : {}),
  };
}
