import type { SetState } from "./directory.ts";
import { postgresDatabase, postgresUser } from "./native/postgres.ts";
import { s3AccessKey, s3Bucket, s3Region } from "./native/s3.ts";
import type { AllEndpoints, ServiceName } from "./types.ts";

/** Where the services are, from outside of any container. */
export function endpointsOf(
  services: readonly ServiceName[],
  { ports, password, replica = true }: Pick<SetState, "ports" | "password" | "replica">,
): Partial<AllEndpoints> {
  const postgresUrl = (port: number): string =>
    `postgres://${postgresUser}:${password}@127.0.0.1:${port}/${postgresDatabase}`;
  return {
    ...(services.includes("kafka") && { kafkaBrokers: `127.0.0.1:${ports.kafka}` }),
    ...(services.includes("postgres") && {
      postgresUrl: postgresUrl(ports.postgres),
      postgresReplicaUrl: postgresUrl(replica ? ports.postgresReplica : ports.postgres),
    }),
    ...(services.includes("redis") && { redisUrl: `redis://127.0.0.1:${ports.redis}` }),
    ...(services.includes("s3") && {
      s3: {
        endpoint: `http://127.0.0.1:${ports.s3}`,
        region: s3Region,
        bucket: s3Bucket,
        accessKeyId: s3AccessKey,
        secretAccessKey: password,
      },
    }),
  };
}
