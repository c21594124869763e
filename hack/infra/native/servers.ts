import type { ServiceName } from "../types.ts";
import { kafkaServer } from "./kafka.ts";
import { postgresServers } from "./postgres.ts";
import { redisServer } from "./redis.ts";
import { s3Server } from "./s3.ts";
import type { NativeContext, Server } from "./server.ts";

const makers = {
  kafka: (context) => [kafkaServer(context)],
  postgres: postgresServers,
  redis: (context) => [redisServer(context)],
  s3: (context) => [s3Server(context)],
} as const satisfies Record<ServiceName, (context: NativeContext) => Server[]>;

export function nativeServers(context: NativeContext, services: readonly ServiceName[]): Server[] {
  return services.flatMap((service) => makers[service](context));
}
