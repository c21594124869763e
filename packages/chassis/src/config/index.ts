export { durationSchema, findDuration, parseDuration } from "./duration.ts";
export { completeKafka, engineConfig, type KafkaVariables } from "./engine-config.ts";
export { ConfigError, loadConfig, redactConfig, redactUrl } from "./load-config.ts";
