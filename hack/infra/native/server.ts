import type { ServerCommand } from "../process.ts";
import type { Log, ServiceName } from "../types.ts";

/** What the native servers of one set share. */
export interface NativeContext {
  /** Holds data, logs and pid files of the set. */
  readonly dir: string;
  /** Jars and built programs, shared by all sets of this user. */
  readonly cacheDir: string;
  readonly ports: Ports;
  /** Of Postgres' and S3's superuser. */
  readonly password: string;
  /** False for test sets: nothing is synced to disk, since the set is thrown away after the run. */
  readonly durable: boolean;
  readonly replica: boolean;
  /** Of a test's broker, beside the plain one. */
  readonly kafkaListeners?: KafkaListeners | undefined;
  /** Of a broker whose heap does not grow. */
  readonly kafkaHeapMb?: number | undefined;
  readonly log: Log;
  /** Ends a start that nobody wants any more. */
  readonly signal?: AbortSignal | undefined;
}

/** Further ways into the broker. */
export interface KafkaListeners {
  /** `SASL_SSL://127.0.0.1:9094`: their names are their protocols. */
  readonly listeners: readonly string[];
  /** Lines for the end of the broker's settings. */
  readonly properties: Readonly<Record<string, string>>;
  /** Who may come by SCRAM-SHA-512: name → password. */
  readonly scramUsers: Readonly<Record<string, string>>;
}

export interface Ports {
  readonly kafka: number;
  readonly kafkaController: number;
  readonly postgres: number;
  readonly postgresReplica: number;
  readonly redis: number;
  readonly s3: number;
}

/** One server process and how to care for it. */
export interface Server {
  /** Names its pid file and log. */
  readonly name: string;
  readonly service: ServiceName;
  readonly port: number;
  /** Other servers of the set that must be ready before `prepare`. */
  readonly after?: readonly string[];
  readonly stopSignal: NodeJS.Signals;
  readonly stopGraceMs: number;
  readonly startTimeoutMs: number;
  /** Brings programs and data into shape, whatever an interrupted call left, and says how to start it. */
  prepare(): Promise<ServerCommand>;
  isReady(): Promise<boolean>;
  /** What is left to do once it is ready. */
  settle?(): Promise<void>;
}
