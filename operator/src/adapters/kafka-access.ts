import { X509Certificate } from "node:crypto";
import { completeKafka, engineConfig, loadConfig } from "@pricing-engine/chassis/config";
import { type KafkaAccess, kafkaAccessOf } from "@pricing-engine/kafka";
import { z } from "zod";
import type { PricingEngine } from "../api/resource.ts";
import { kafkaAccessEnv } from "../core/plan-env.ts";

const schema = z.object(engineConfig.kafka).superRefine(completeKafka);

/** The variables that get a process into the engine's Kafka, beside its brokers. @throws what `get` throws */
export function resolveKafkaEnv(
  spec: Pick<PricingEngine["spec"], "kafka">,
  get: (secret: string, key: string) => string,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(kafkaAccessEnv(spec)).map(([name, value]) => [
      name,
      value.from === "value" ? value.value : get(value.secret, value.key),
    ]),
  );
}

/** Whether it is what brokers can be checked by: one certificate or more, PEM. */
export function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

/**
 * How the operator itself gets in: by what processes are told. Connects to nothing.
 * @param brokers comma-separated
 * @throws ConfigError, which repeats no value
 */
export function readKafkaAccess(brokers: string, env: Readonly<Record<string, string>>): KafkaAccess {
  return kafkaAccessOf(loadConfig(schema, { KAFKA_BROKERS: brokers, ...env }));
}
