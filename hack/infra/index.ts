export { InfraError } from "./exec.ts";
export { eraseInfra, type Infra, type InfraOptions, infraStatus, startInfra, stopInfra } from "./infra.ts";
export type { AllEndpoints, Endpoints, Log, S3Endpoint, ServerStatus, ServiceName } from "./types.ts";
