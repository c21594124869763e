export { InfraError } from "./exec.ts";
export {
  canStartS3AtOnce,
  eraseInfra,
  type Infra,
  type InfraOptions,
  infraStatus,
  startInfra,
  stopInfra,
} from "./infra.ts";
export type { KafkaListeners } from "./native/server.ts";
export { makePortPicker } from "./ports.ts";
export type { AllEndpoints, Endpoints, Log, S3Endpoint, ServerStatus, ServiceName } from "./types.ts";
