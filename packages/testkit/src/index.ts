export { apiServer, makeTestNamespace } from "./api-server.ts";
export { type Authority, makeAuthority } from "./certificates.ts";
export { type CollectedSpan, type OtlpCollector, startOtlpCollector } from "./collector.ts";
export { makeTestDatabase, type TestDatabase, type TestDatabaseOptions } from "./database.ts";
export { type EventuallyOptions, eventually } from "./eventually.ts";
export {
  type HttpFaultProxy,
  type OpenStream,
  type RequestFault,
  type RequestMatch,
  type SeenRequest,
  startHttpFaultProxy,
} from "./http-fault-proxy.ts";
export { infra, type TestInfra } from "./infra.ts";
export { makeTestEngine, makeTestPrefix, type TestEngine } from "./names.ts";
export { startTcpProxy, type TcpProxy } from "./proxy.ts";
export { makeTestRedis, type TestRedis } from "./redis.ts";
export { makeTestS3, type TestS3 } from "./s3.ts";
export { type SpawnedService, type SpawnServiceOptions, spawnService } from "./service.ts";
export { watchSessionSetting } from "./session-settings.ts";
