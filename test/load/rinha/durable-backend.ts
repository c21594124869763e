// What an answer costs that waits for the broker, and for nothing else: the least that p99 can be. Its arguments are the port and the brokers.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { tuneCollector } from "@pricing-engine/chassis/lifecycle";
import { makeLogger } from "@pricing-engine/chassis/log";
import { makeKafka, makeKafkaAdmin, makeProducer } from "@pricing-engine/kafka";

tuneCollector();
const [port = "", brokers = ""] = process.argv.slice(2);
const kafka = makeKafka({
  brokers: [brokers],
  clientId: "durable-backend",
  logger: makeLogger({ name: "durable-backend", level: "error" }),
});
const producer = makeProducer({ kafka });
const topic = `durable-backend-${randomUUID()}`;
const admin = makeKafkaAdmin({ kafka });
await admin.ensureTopics([{ topic, partitions: 4, replicationFactor: 1, keep: "forever" }]);
await admin.close();

createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    producer.send({ topic, key: null, value: Buffer.concat(chunks) }).then(
      () => response.writeHead(202, { "content-length": 0 }).end(),
      () => response.writeHead(503, { "content-length": 0 }).end(),
    );
  });
}).listen(Number(port), "127.0.0.1");
