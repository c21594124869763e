import type { KafkaVariables } from "@pricing-engine/chassis/config";
import type { Logger } from "@pricing-engine/chassis/log";
import kafkajs, { type Kafka as Client, type LogEntry } from "kafkajs";
import { patchKafkajs } from "./kafkajs-patch.ts";

const { logLevel } = kafkajs;

type SaslMechanism = "plain" | "scram-sha-256" | "scram-sha-512";
type SaslOptions = { [M in SaslMechanism]: { mechanism: M; username: string; password: string } }[SaslMechanism];

/** Where a cluster is, and what it asks of whoever comes. */
export interface KafkaAccess {
  /** `host:port` of one or more brokers. */
  brokers: readonly string[];
  /** `ca`: the certificates, PEM, that brokers are to be signed by; without it those that Node trusts. */
  tls?: boolean | { ca: string };
  sasl?: SaslOptions;
}

export interface KafkaOptions extends KafkaAccess {
  clientId: string;
  logger: Logger;
  /** Default 3,000. */
  connectionTimeoutMs?: number;
  /** Until a request without an answer fails; default 10,000. */
  requestTimeoutMs?: number;
}

/** What makes a client, of a process's variables. Their relations are checked where they are read (`completeKafka`). */
export function kafkaAccessOf(config: KafkaVariables): KafkaAccess {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = config;
  return {
    brokers: config.KAFKA_BROKERS,
    tls: config.KAFKA_TLS && config.KAFKA_CA !== undefined ? { ca: config.KAFKA_CA } : config.KAFKA_TLS,
    ...(mechanism === undefined || username === undefined || password === undefined
      ? {}
      : { sasl: { mechanism, username, password } }),
  };
}

/** The way to one cluster. Opens nothing by itself. */
export interface Kafka {
  /** For this package alone: nothing outside it knows kafkajs. */
  readonly client: Client;
  readonly logger: Logger;
}

export function makeKafka(options: KafkaOptions): Kafka {
  patchKafkajs();
  const { brokers, clientId, tls = false, sasl, connectionTimeoutMs = 3_000, requestTimeoutMs = 10_000 } = options;
  const logger = options.logger.child({ component: "kafka" });
  const client = new kafkajs.Kafka({
    brokers: inTurn(brokers),
    clientId,
    ssl: tls,
    ...(sasl === undefined ? {} : { sasl }),
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    enforceRequestTimeout: true,
    // Whoever uses the client repeats by its own rules (the producer must know which attempt has an unknown outcome).
    retry: { retries: 2, initialRetryTime: 100, maxRetryTime: 1_000 },
    logLevel: logger.isLevelEnabled("debug") ? logLevel.DEBUG : logLevel.WARN,
    logCreator: () => (entry) => forward(logger, entry),
  });
  return { client, logger };
}

/** Each connection begins with the next one: kafkajs would begin with the first for ever, also when that one says nothing. */
function inTurn(brokers: readonly string[]): () => Promise<string[]> {
  // So that a fleet is not all at the first.
  let next = Math.floor(Math.random() * brokers.length);
  return async () => {
    const broker = brokers[next++ % brokers.length];
    return broker === undefined ? [] : [broker];
  };
}

/** What kafkajs calls an error is mostly a step of its own recovery; what matters reaches us as an error or an event. */
function forward(logger: Logger, { namespace, level, log }: LogEntry): void {
  const { message, timestamp: _timestamp, logger: _logger, stack: _stack, ...fields } = log;
  const line = { ...fields, namespace };
  if (level === logLevel.ERROR || level === logLevel.WARN) logger.debug(line, message);
  else logger.trace(line, message);
}
