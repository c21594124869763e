export {
  type Logger,
  type LoggerOptions,
  type LogLevel,
  makeLogger,
  makePlainLogger,
  redactText,
} from "./make-logger.ts";
export { flushStandardOutput } from "./standard-output.ts";
