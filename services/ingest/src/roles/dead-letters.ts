import type { Logger } from "@pricing-engine/chassis/log";
import {
  kafkaAccessOf,
  makeDeadLetterCommand,
  makeDeadLetters,
  makeKafka,
  makeKafkaAdmin,
  makeProducer,
} from "@pricing-engine/kafka";
import type { CommandConfig } from "../config.ts";

/** `dlq list|show|replay`; resolves with the exit code. */
export async function runDeadLetters(args: string[], config: CommandConfig, logger: Logger): Promise<number> {
  const { prefix } = config;
  const kafka = makeKafka({ ...kafkaAccessOf(config), clientId: "ingest-dlq", logger });
  const admin = makeKafkaAdmin({ kafka });
  const producer = makeProducer({ kafka });
  try {
    const deadLetters = makeDeadLetters({ kafka, admin, producer, prefix });
    return await makeDeadLetterCommand({ deadLetters, write: (line) => process.stdout.write(`${line}\n`) })(args);
  } finally {
    await Promise.all([producer.close(), admin.close()]);
  }
}
