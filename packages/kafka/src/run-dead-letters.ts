import type { KafkaVariables } from "@pricing-engine/chassis/config";
import { makeLogger } from "@pricing-engine/chassis/log";
import { makeKafkaAdmin } from "./admin.ts";
import { makeDeadLetterCommand } from "./dead-letter-command.ts";
import { makeDeadLetters } from "./dead-letters.ts";
import { kafkaAccessOf, makeKafka } from "./kafka.ts";
import { makeProducer } from "./producer.ts";

/** A service's `dlq list|show|replay`, from its variables to standard output, by this name in logs and to Kafka. Resolves with the exit code. */
export async function runDeadLetters(
  name: string,
  args: string[],
  config: KafkaVariables & { prefix: string },
): Promise<number> {
  const logger = makeLogger({ name, level: "warn" });
  const kafka = makeKafka({ ...kafkaAccessOf(config), clientId: name, logger });
  const admin = makeKafkaAdmin({ kafka });
  const producer = makeProducer({ kafka });
  try {
    const deadLetters = makeDeadLetters({ kafka, admin, producer, prefix: config.prefix });
    const command = makeDeadLetterCommand({ deadLetters, write: (line) => process.stdout.write(`${line}\n`) });
    return await command(args);
  } finally {
    await Promise.all([producer.close(), admin.close()]);
  }
}
