import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeKeySchedule, type Scheduled } from "./key-schedule.ts";
import { makeOffsetTracker, type OffsetTracker } from "./offset-tracker.ts";

// One partition with several members taking turns, as the intake uses the two cores: a member reads from the group's
// committed offset, works per key, commits contiguously; it can crash (its work is gone), or sleep through the session
// (its work goes on, its commits are refused). Members, finishing and commits interleave in any seeded order.

interface Member {
  generation: number;
  tracker: OffsetTracker;
  schedule: ReturnType<typeof makeKeySchedule<bigint>>;
  running: Scheduled<bigint>[];
}

type Step =
  | { kind: "fetch"; count: number }
  | { kind: "start" }
  | { kind: "finish"; member: number; pick: number }
  | { kind: "commit"; member: number }
  | { kind: "takeOver" }
  | { kind: "crash" };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("fetch" as const), count: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 4, arbitrary: fc.constant<Step>({ kind: "start" }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("finish" as const), member: fc.nat(4), pick: fc.nat(9) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("commit" as const), member: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "takeOver" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "crash" }) },
);

/** Offsets with gaps, as compaction leaves them; the key of each. */
const log = fc.array(fc.record({ gap: fc.integer({ min: 1, max: 3 }), key: fc.integer({ min: 0, max: 3 }) }), {
  minLength: 1,
  maxLength: 40,
});

describe("a partition in hand, with crashes and zombies", () => {
  it("never commits what is unfinished, never moves back, keeps keys in order, and finishes everything", () => {
    fc.assert(
      fc.property(log, fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 4 }), (gaps, steps, limit) => {
        const records: { offset: bigint; lane: string }[] = [];
        let end = 0n;
        for (const { gap, key } of gaps) {
          const offset = end + BigInt(gap) - 1n;
          records.push({ offset, lane: `k${key}` });
          end = offset + 1n;
        }
        const finished = new Set<bigint>();
        let committed = 0n;
        let generation = 0;
        const join = (): Member => {
          generation += 1;
          return {
            generation,
            tracker: makeOffsetTracker(committed),
            schedule: makeKeySchedule<bigint>(limit),
            running: [],
          };
        };
        let owner = join();
        let members: Member[] = [owner];

        const fetch = (member: Member, count: number) => {
          const fetched = records.filter(({ offset }) => offset >= member.tracker.position()).slice(0, count);
          for (const { offset, lane } of fetched) {
            expect(member.tracker.track(offset)).toBe(true);
            member.schedule.add(lane, offset);
          }
          if (fetched.length === 0) member.tracker.skipTo(end);
        };
        const start = (member: Member) => {
          const next = member.schedule.take();
          if (next === undefined) return;
          const ahead = member.running.filter(({ lane }) => lane === next.lane);
          expect(ahead).toEqual([]);
          member.running.push(next);
        };
        const finish = (member: Member, pick: number) => {
          const [over] = member.running.splice(pick % Math.max(1, member.running.length), 1);
          if (over === undefined) return;
          finished.add(over.work);
          member.tracker.finish(over.work);
          member.schedule.release(over);
        };
        const commit = (member: Member) => {
          const offset = member.tracker.frontier();
          // The broker refuses an earlier generation.
          if (member.generation !== generation) return;
          expect(offset >= committed).toBe(true);
          committed = offset;
          for (const record of records) {
            if (record.offset < committed) expect(finished.has(record.offset)).toBe(true);
          }
        };

        for (const one of steps) {
          const chosen = "member" in one ? (members[one.member % members.length] ?? owner) : owner;
          switch (one.kind) {
            case "fetch":
              fetch(owner, one.count);
              break;
            case "start":
              for (const member of members) start(member);
              break;
            case "finish":
              finish(chosen, one.pick);
              break;
            case "commit":
              commit(chosen);
              break;
            case "takeOver":
              owner = join();
              members.push(owner);
              break;
            case "crash":
              members = members.filter((member) => member !== owner);
              owner = join();
              members.push(owner);
              break;
          }
        }
        for (let round = 0; committed < end; round += 1) {
          expect(round).toBeLessThan(500);
          fetch(owner, 10);
          start(owner);
          finish(owner, 0);
          commit(owner);
        }
        expect(finished.size).toBe(records.length);
      }),
      { numRuns: 3_000 },
    );
  });
});
