import type { KafkaVariables } from "@pricing-engine/chassis/config";
import type { Logger } from "@pricing-engine/chassis/log";
import {
  kafkaAccessOf,
  makeDeadLetterCommand,
  makeDeadLetters,
  makeKafka,
  makeKafkaAdmin,
  makeProducer,
} from "@pricing-engine/kafka";

/** `dlq list|show|replay`; resolves with the exit code. */
export async function runDeadLetters(
  args: string[],
  config: KafkaVariables & { prefix: string },
  logger: Logger,
): Promise<number> {
  const kafka = makeKafka({ ...kafkaAccessOf(config), clientId: "payment-dlq", logger });
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
