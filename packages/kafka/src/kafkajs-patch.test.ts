import fc from "fast-check";
import murmur2 from "kafkajs/src/producer/partitioners/default/murmur2.js";
import crc32C from "kafkajs/src/protocol/recordBatch/crc32C/index.js";
import createRequest from "kafkajs/src/protocol/request.js";
import produce from "kafkajs/src/protocol/requests/produce/index.js";
import { describe, expect, it, vi } from "vitest";

// What patches/kafkajs does in another way must come out as before: brokers and Java clients know no other.
describe("kafkajs as it is patched", () => {
  it.each([
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
  ])("hashes %j as Kafka's own tests say", (key, hash) => {
    expect(murmur2(key)).toBe(hash);
  });

  it("makes checksums as RFC 3720 says, of any length", () => {
    expect(crc32C(Buffer.from("123456789"))).toBe(0xe3069283);
    expect(crc32C(Buffer.alloc(32))).toBe(0x8a9136aa);
    expect(crc32C(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
    expect(crc32C(Buffer.from(Array.from({ length: 32 }, (_, index) => index)))).toBe(0x46dd794e);
  });

  it("writes a request at once as it does piece by piece", async () => {
    const text = fc.string({ unit: "grapheme", maxLength: 300 });
    const content = fc.oneof(text, fc.uint8Array({ maxLength: 2_000 }).map(Buffer.from), fc.constant(null));
    const header = fc.oneof(text, fc.array(text, { maxLength: 3 }), fc.uint8Array({ maxLength: 40 }).map(Buffer.from));
    const message = fc.record(
      {
        key: content,
        value: content,
        headers: fc.dictionary(text, header, { maxKeys: 4 }),
        timestamp: fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 }).map(String),
      },
      { requiredKeys: ["key", "value"] },
    );
    const partition = fc.record({ partition: fc.nat(20), messages: fc.array(message, { minLength: 1, maxLength: 4 }) });
    const topicData = fc.array(
      fc.record({ topic: text, partitions: fc.array(partition, { minLength: 1, maxLength: 3 }) }),
      {
        maxLength: 3,
      },
    );
    vi.useFakeTimers({ toFake: ["Date"], now: 1_800_000_000_000 });
    try {
      await fc.assert(
        fc.asyncProperty(topicData, fc.integer({ min: 3, max: 7 }), async (topics, version) => {
          const { request } = produce.protocol({ version })({ acks: -1, timeout: 10_000, topicData: topics });
          const envelope = { correlationId: 7, clientId: "client" };
          const atOnce = await createRequest({ ...envelope, request });
          const inPieces = await createRequest({ ...envelope, request: { ...request, encodeInto: undefined } });
          expect(request.encodeInto).toBeDefined();
          expect(atOnce.buffer.equals(inPieces.buffer)).toBe(true);
        }),
        { numRuns: 300 },
      );
    } finally {
      vi.useRealTimers();
    }
  });
});
