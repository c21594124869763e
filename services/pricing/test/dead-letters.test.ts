import { deadLetterTopic, groupName, topicName, topics } from "@pricing-engine/contracts";
import { makeKafka, makeProducer } from "@pricing-engine/kafka";
import { eventually, infra } from "@pricing-engine/testkit";
import { expect, it } from "vitest";
import { startPricing } from "./support/processes.ts";
import { byDemand, product, readPrice, silent } from "./support/service.ts";

it("a message that nobody can read is a dead letter that `dlq` lists, shows and replays; prices go on", async () => {
  await using pricing = await startPricing({ policy: byDemand, partitions: 1 });
  await pricing.startWorker();
  expect((await pricing.call("PUT", "/api/v1/products/seat", product())).status).toBe(201);
  const topic = topicName(pricing.prefix, topics.marketEvents);
  const letters = deadLetterTopic(topic, groupName(pricing.prefix, "pricing-worker"));
  expect(await pricing.command("dlq", "list")).toContain(`${letters}  0 letters`);

  const kafka = makeKafka({ brokers: infra().kafkaBrokers.split(","), clientId: "pricing-test", logger: silent });
  const producer = makeProducer({ kafka });
  await producer.send({ topic, key: "seat", value: '{"half": ' });
  await producer.close();
  // Behind the poison on the only partition.
  const taskId = await pricing.publish({ type: "demand", product_id: "seat", demand: 3 });
  expect(await pricing.taskEnd(taskId)).toMatchObject({ status: "succeeded" });
  const before = await readPrice(pricing.pool, "seat");
  expect(before.price_minor).toBe(3000);

  await eventually(async () => expect(await pricing.command("dlq", "list")).toContain(`${letters}  1 letters, 0 repl`));
  const shown = JSON.parse(await pricing.command("dlq", "show", letters, "--json"));
  expect(shown).toMatchObject({ value: '{"half": ', key: "seat", attempts: 1, original: { topic } });

  expect(await pricing.command("dlq", "replay", letters, "--id", shown.id)).toBe("1 replayed\n");
  // It fails again, as a letter of its own; a second replay leaves out what was replayed.
  await eventually(async () => expect(await pricing.command("dlq", "list")).toContain("2 letters, 1 replayed"));
  expect(await pricing.command("dlq", "replay", letters, "--id", shown.id)).toContain("0 replayed, 1 were replayed");
  expect(await readPrice(pricing.pool, "seat")).toEqual(before);
  await expect(pricing.command("dlq", "replay", letters, "--id", "9/9")).rejects.toMatchObject({ code: 2 });
});
