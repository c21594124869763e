import { eventually, infra, startTcpProxy } from "@pricing-engine/testkit";
import RequestQueue from "kafkajs/src/network/requestQueue/index.js";
import { describe, expect, it, vi } from "vitest";
import type { GroupLook } from "../src/group-look.ts";
import { makeKafka, makeKafkaAdmin } from "../src/index.ts";
import { readTopic } from "../src/topic-reader.ts";
import { makeBench, makeLatch } from "./support/bench.ts";

describe("admin", () => {
  it("makes topics once, adds partitions and mends their configuration", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    const { admin, topic } = bench;
    const spec = { topic, partitions: 3, replicationFactor: 1, keep: "compact" as const };
    await Promise.all([admin.ensureTopics([spec]), admin.ensureTopics([{ ...spec, topic: `${topic}.worker.retry` }])]);
    await admin.ensureTopics([spec]);
    const { partitions } = await admin.groupLag(bench.groupId, [topic]);
    expect(partitions).toHaveLength(3);
    const client = bench.kafka.client.admin();
    await client.connect();
    try {
      // The controller has it when the call returns; the broker that is asked here learns of it a moment later.
      await eventually(async () => {
        const { resources } = await client.describeConfigs({
          includeSynonyms: false,
          resources: [{ type: 2, name: topic }],
        });
        const values = Object.fromEntries(
          (resources[0]?.configEntries ?? []).map(({ configName, configValue }) => [configName, configValue]),
        );
        // What somebody set before stays: alterConfigs alone would have dropped it.
        expect(values).toMatchObject({ "cleanup.policy": "compact", "retention.ms": "-1" });
      });
    } finally {
      await client.disconnect();
    }
  });

  it("makes the same topics from two places at once", async () => {
    await using bench = await makeBench(infra().kafkaBrokers);
    const specs = ["x", "y", "z"].map((name) => ({
      topic: `${bench.prefix}${name}`,
      partitions: 1,
      replicationFactor: 1,
      keep: "forever" as const,
    }));
    await Promise.all([bench.admin.ensureTopics(specs), bench.admin.ensureTopics(specs.toReversed())]);
    expect(await bench.admin.listTopics()).toEqual(expect.arrayContaining(specs.map(({ topic }) => topic)));
    await bench.admin.deleteTopics(specs.map(({ topic }) => topic));
  });

  it("makes any number of topics with a few requests, and looks at any number with fewer", async () => {
    await using bench = await makeBench(infra().kafkaBrokers);
    const specs = Array.from({ length: 20 }, (_, index) => ({
      topic: `${bench.prefix}one-of-many-${index}`,
      partitions: 2,
      replicationFactor: 1,
      keep: "forever" as const,
    }));
    const admin = makeKafkaAdmin({ kafka: bench.kafka });
    const sent = vi.spyOn(RequestQueue.prototype, "push");
    const requests = () => sent.mock.calls.map(([{ entry }]) => entry.apiName);
    try {
      await admin.ensureTopics(specs);
      expect(requests().filter((name) => name === "CreateTopics")).toHaveLength(1);
      // A leader that is not ready yet is asked again.
      expect(requests().filter((name) => name === "ListOffsets").length).toBeLessThan(10);
      sent.mockClear();
      await admin.ensureTopics(specs);
      expect(requests()).toEqual(["Metadata", "DescribeConfigs"]);
    } finally {
      sent.mockRestore();
      await admin.deleteTopics(specs.map(({ topic }) => topic));
      await admin.close();
    }
  });

  it("looks at topics through another broker when a connection hangs", async () => {
    await using bench = await makeBench(infra().kafkaBrokers);
    const spec = { topic: bench.topic, partitions: 1, replicationFactor: 1, keep: "forever" as const };
    await using one = await startTcpProxy({ target: infra().kafkaBrokers });
    await using other = await startTcpProxy({ target: infra().kafkaBrokers });
    const brokers = [one, other].map(({ port }) => `127.0.0.1:${port}`);
    const kafka = makeKafka({ brokers, clientId: "hanging", logger: bench.kafka.logger, requestTimeoutMs: 500 });
    const admin = makeKafkaAdmin({ kafka });
    try {
      await admin.ensureTopics([spec]);
      const [used] = [one, other].filter((proxy) => proxy.connections() > 0);
      used?.blackhole();
      await eventually(() => admin.ensureTopics([spec]), { timeoutMs: 20_000 });
      expect([one, other].filter((proxy) => proxy !== used && proxy.connections() > 0)).toHaveLength(1);
    } finally {
      await admin.close();
    }
    // A connection that was given up is closed, too.
    for (const proxy of [one, other]) proxy.restore();
    await eventually(() => expect(one.connections() + other.connections()).toBe(0));
  });

  it("adds the same partitions from two places at once", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    const spec = { topic: bench.topic, partitions: 4, replicationFactor: 1, keep: "forever" as const };
    const others = Array.from({ length: 4 }, () => makeKafkaAdmin({ kafka: bench.kafka }));
    try {
      await Promise.all([bench.admin, ...others].map((admin) => admin.ensureTopics([spec])));
      expect((await bench.admin.groupLag(bench.groupId, [bench.topic])).partitions).toHaveLength(4);
    } finally {
      await Promise.all(others.map((admin) => admin.close()));
    }
  });

  it("names the topic that cannot be made, and makes the others", async () => {
    await using bench = await makeBench(infra().kafkaBrokers);
    const good = { topic: `${bench.prefix}good`, partitions: 1, replicationFactor: 1, keep: "forever" as const };
    const bad = { ...good, topic: `${bench.prefix}bad`, replicationFactor: 99 };
    await expect(bench.admin.ensureTopics([bad, good])).rejects.toThrow(`${bad.topic}: Replication-factor is invalid`);
    await eventually(async () => expect(await bench.admin.listTopics()).toContain(good.topic));
    expect(await bench.admin.listTopics()).not.toContain(bad.topic);
    await bench.admin.ensureTopics([good]);
    await bench.admin.deleteTopics([good.topic]);
  });

  it("counts lag from 0 without a commit, and deletes only what every group has committed", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    await bench.publish(10);
    expect(await bench.lag()).toBe(10);
    await bench.admin.deleteCommittedRecords(bench.topic, [bench.groupId]);
    expect(await readTopic(bench.kafka, bench.topic)).toHaveLength(10);
    const consumer = bench.consume({ handle: async () => {} });
    await eventually(async () => expect(await bench.lag()).toBe(0));
    await consumer.stop();
    await bench.admin.deleteCommittedRecords(bench.topic, [bench.groupId, `${bench.prefix}late`]);
    expect(await readTopic(bench.kafka, bench.topic)).toHaveLength(10);
    await bench.admin.deleteCommittedRecords(bench.topic, [bench.groupId]);
    expect(await readTopic(bench.kafka, bench.topic)).toHaveLength(0);
    expect((await bench.admin.groupLag(`${bench.prefix}late`, [bench.topic])).total).toBe(0n);
  });

  it("looks at a group: empty before anybody came, who reads what while members are there, empty again", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 4 });
    const { admin, groupId, topic } = bench;
    await bench.publish(8);
    const look = () => admin.groupLook(groupId, [topic]);
    const before = await look();
    expect(before.state).toBe("empty");
    expect(
      before.partitions.map(({ partition, lag, committed, memberId }) => [partition, lag >= 0n, committed, memberId]),
    ).toEqual([0, 1, 2, 3].map((partition) => [partition, true, undefined, undefined]));
    expect(before.partitions.reduce((sum, { lag }) => sum + lag, 0n)).toBe(8n);

    const first = bench.consume({ handle: async () => {} });
    const second = bench.consume({ handle: async () => {} });
    await eventually(
      async () => {
        const { state, partitions } = await look();
        expect([state, new Set(partitions.map(({ memberId }) => memberId)).size]).toEqual(["stable", 2]);
        expect(partitions.every(({ lag, memberId }) => lag === 0n && memberId !== undefined)).toBe(true);
      },
      { timeoutMs: 30_000 },
    );
    await Promise.all([first.stop(), second.stop()]);
    const after = await look();
    expect([after.state, after.partitions.some(({ memberId }) => memberId !== undefined)]).toEqual(["empty", false]);
  });

  it("asks for many groups at once, and one that cannot be asked is its own trouble", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 2 });
    const { groupId, topic } = bench;
    const admin = makeKafkaAdmin({ kafka: bench.kafka, gatherLooksMs: 20 });
    const sent = vi.spyOn(RequestQueue.prototype, "push");
    const looking = ["DescribeGroups", "OffsetFetch", "ListOffsets", "Metadata", "GroupCoordinator"];
    const requests = () => sent.mock.calls.filter(([{ entry }]) => looking.includes(entry.apiName)).length;
    try {
      await bench.publish(6);
      const names = Array.from({ length: 30 }, (_, index) => `${groupId}.${index}`);
      const lookAtAll = () => Promise.all(names.map((name) => admin.groupLook(name, [topic])));
      const totals = (looks: readonly GroupLook[]) =>
        looks.map(({ partitions }) => partitions.reduce((sum, { lag }) => sum + lag, 0n));
      expect(totals(await lookAtAll())).toEqual(names.map(() => 6n));
      bench.consume({ handle: async () => {} });
      const ours = () => admin.groupLook(groupId, [topic]);
      await eventually(async () => expect(totals([await ours()])).toEqual([0n]));
      await bench.publish(4);
      // What was read is trusted for no longer than it is so: not until it is asked for in any case.
      await eventually(
        async () => expect((await ours()).partitions.reduce((sum, { high }) => sum + high, 0n)).toBe(10n),
        { timeoutMs: 10_000 },
      );
      await eventually(async () => expect(totals([await ours()])).toEqual([0n]));
      const calm = requests();
      await Promise.all(names.map(() => ours()));
      expect(requests() - calm).toBeGreaterThan(0);
      expect(requests() - calm).toBeLessThan(10);

      const missing = admin.groupLook(groupId, [`${topic}.missing`]);
      const [failed, ...others] = await Promise.allSettled([
        missing,
        ...names.map((name) => admin.groupLook(name, [topic])),
      ]);
      expect(failed?.status).toBe("rejected");
      expect(others.map(({ status }) => status)).toEqual(names.map(() => "fulfilled"));
    } finally {
      sent.mockRestore();
      await admin.close();
    }
  });

  it("sees a group rebalance while a new member waits for one that is busy", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 2 });
    const latch = makeLatch();
    const busy = makeLatch();
    await bench.publish(1);
    bench.consume({
      handle: async () => {
        busy.open();
        await latch.opened;
      },
    });
    await busy.opened;
    bench.consume({ handle: async () => {} });
    const states = new Set<string>();
    try {
      await eventually(
        async () => {
          states.add((await bench.admin.groupLook(bench.groupId, [bench.topic])).state);
          return states.has("rebalancing");
        },
        { timeoutMs: 30_000, intervalMs: 5 },
      );
    } finally {
      latch.open();
    }
  });
});
