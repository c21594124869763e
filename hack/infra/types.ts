/** The servers that can be had; `postgres` is a primary and its streaming replica. */
export const serviceNames = ["kafka", "postgres", "redis", "s3"] as const;
export type ServiceName = (typeof serviceNames)[number];

export interface S3Endpoint {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface AllEndpoints {
  /** `host:port` */
  readonly kafkaBrokers: string;
  readonly postgresUrl: string;
  readonly postgresReplicaUrl: string;
  readonly redisUrl: string;
  readonly s3: S3Endpoint;
}

interface EndpointKeys {
  readonly kafka: "kafkaBrokers";
  readonly postgres: "postgresUrl" | "postgresReplicaUrl";
  readonly redis: "redisUrl";
  readonly s3: "s3";
}

/** The addresses of just the servers asked for. */
export type Endpoints<S extends ServiceName = ServiceName> = Pick<AllEndpoints, EndpointKeys[S]>;

export type Log = (line: string) => void;

export interface ServerStatus {
  readonly name: string;
  readonly service: ServiceName;
  readonly port: number;
  readonly running: boolean;
}

/** The servers of one set, whoever runs them. Every call is idempotent. */
export interface ServerSet {
  /** Starts what does not run; stops again what it started when not all of it comes up. */
  start(): Promise<void>;
  /** In order, in reverse; `force` kills at once, for sets whose data nobody wants. */
  stop(options?: { readonly force?: boolean; readonly services?: readonly ServiceName[] }): Promise<void>;
  restart(service: ServiceName): Promise<void>;
  kill(service: ServiceName): Promise<void>;
  status(): Promise<ServerStatus[]>;
  /** Deletes the data of a stopped set. */
  erase(): Promise<void>;
}
