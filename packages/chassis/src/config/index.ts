export { durationSchema, findDuration, parseDuration } from "./duration.ts";
export { engineConfig } from "./engine-config.ts";
export { ConfigError, loadConfig, redactConfig, redactUrl } from "./load-config.ts";
