import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assignPartitions } from "./assigner.ts";

const topicNames = ["a", "b", "c"];
const subscribers = fc.uniqueArray(
  fc.record({ memberId: fc.string({ minLength: 1 }), topics: fc.subarray(topicNames) }),
  { selector: ({ memberId }) => memberId, maxLength: 6 },
);

describe("assigner", () => {
  it("gives every partition with a reader to exactly one reader, evenly", () => {
    fc.assert(
      fc.property(subscribers, fc.integer({ min: 1, max: 12 }), (members, count) => {
        const assignment = assignPartitions(members, () => Array.from({ length: count }, (_, index) => index));
        for (const topic of topicNames) {
          const readers = members.filter(({ topics }) => topics.includes(topic)).map(({ memberId }) => memberId);
          const shares = readers.map((memberId) => assignment.get(memberId)?.[topic] ?? []);
          const dealt = shares.flat().toSorted((a, b) => a - b);
          expect(dealt).toEqual(readers.length === 0 ? [] : Array.from({ length: count }, (_, index) => index));
          const sizes = shares.map(({ length }) => length);
          if (sizes.length > 0) expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        }
        for (const { memberId, topics } of members) {
          expect(topics).toEqual(expect.arrayContaining(Object.keys(assignment.get(memberId) ?? {})));
        }
      }),
    );
  });
});
