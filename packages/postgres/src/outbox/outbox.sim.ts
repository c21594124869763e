import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { describeOutboxPort } from "./contract.ts";
import { deliver } from "./deliver.ts";
import { makeMemoryOutbox } from "./memory-port.ts";

describe("the simulated store", () => {
  describeOutboxPort(async () => {
    const outbox = makeMemoryOutbox({ maxFaults: 2, faultBackoffMs: 0, step: async () => undefined, nowMs: () => 0 });
    return {
      port: outbox,
      async append(rows) {
        const open = await outbox.append(rows);
        return { commit: async () => open.commit(), rollBack: async () => open.rollBack() };
      },
      parkedIds: async () => outbox.parked().map(({ id }) => id),
    };
  });
});

class Crash extends Error {}
class Outage extends Error {}

const aggregates = ["a", "b", "c"];

/** What may happen, each list consumed in the order in which the scheduler lets the steps come. */
const plans = fc.record({
  /** Writers: the aggregates that each transaction appends to, and whether it commits. */
  writers: fc.array(
    fc.record({
      aggregates: fc.uniqueArray(fc.constantFrom(...aggregates), { minLength: 1, maxLength: 3 }),
      commits: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  ),
  /** Steps (counted over all relays) at which the holder crashes, and those at which a stalled claim is taken away. */
  crashes: fc.uniqueArray(fc.nat({ max: 40 }), { maxLength: 4 }),
  expiries: fc.uniqueArray(fc.nat({ max: 40 }), { maxLength: 4 }),
  /** Sends at which the sink is away: before it applied anything, or after it applied all and lost the answer. */
  outages: fc.uniqueArray(fc.nat({ max: 12 }), { maxLength: 3 }),
  lostAnswers: fc.uniqueArray(fc.nat({ max: 12 }), { maxLength: 3 }),
  /** Payloads that the sink refuses for ever. */
  poison: fc.uniqueArray(fc.nat({ max: 5 }), { maxLength: 2 }),
  batchSize: fc.integer({ min: 1, max: 4 }),
});

describe("the outbox protocol", () => {
  it("loses nothing and keeps first deliveries in order, whatever crashes, stalls and interleaves", async () => {
    await fc.assert(
      fc.asyncProperty(plans, fc.scheduler(), async (plan, scheduler) => {
        let steps = 0;
        let sends = 0;
        let clockMs = 0;
        const outbox = makeMemoryOutbox({
          maxFaults: 2,
          faultBackoffMs: 1,
          nowMs: () => clockMs,
          async step(name) {
            const step = steps;
            steps += 1;
            await scheduler.schedule(Promise.resolve(), name);
            clockMs += 1;
            if (plan.expiries.includes(step)) {
              outbox.expireClaim();
            }
            if (plan.crashes.includes(step)) {
              throw new Crash(`at step ${step}`);
            }
          },
        });
        const committed = new Map<string, string[]>(aggregates.map((aggregate) => [aggregate, []]));
        const isPoison = (payload: string) => plan.poison.some((writer) => payload === `${writer}a`);

        const write = async (writer: (typeof plan.writers)[number], index: number): Promise<void> => {
          await scheduler.schedule(Promise.resolve(), `begin ${index}`);
          const open = await outbox.append(
            writer.aggregates.map((aggregate) => ({
              aggregate,
              sink: "kafka",
              topic: "t",
              key: null,
              payload: `${index}${aggregate}`,
            })),
          );
          await scheduler.schedule(Promise.resolve(), `end ${index}`);
          if (!writer.commits) {
            open.rollBack();
            return;
          }
          open.commit();
          for (const aggregate of writer.aggregates) {
            committed.get(aggregate)?.push(`${index}${aggregate}`);
          }
        };

        const delivered: { aggregate: string; payload: string }[] = [];
        const send = async (rows: readonly { aggregate: string; payload: string }[]): Promise<void> => {
          const turn = sends;
          sends += 1;
          await scheduler.schedule(Promise.resolve(), `send ${turn}`);
          if (plan.outages.includes(turn)) {
            throw new Outage();
          }
          for (const row of rows) {
            if (isPoison(row.payload)) {
              throw new Error("poison");
            }
            delivered.push({ aggregate: row.aggregate, payload: row.payload });
            // Row by row, so that two relays interleave inside a batch.
            await scheduler.schedule(Promise.resolve(), "applied");
          }
          if (plan.lostAnswers.includes(turn)) {
            throw new Outage();
          }
        };

        const writers = Promise.all(plan.writers.map(write)).then(() => undefined);
        let writing = true;
        const relay = async (): Promise<void> => {
          // As long as anything is or may be left. A crash is a restart: the loop goes on with a new claim.
          for (let turn = 0; turn < 200 && (writing || outbox.depth() > 0); turn += 1) {
            await outbox
              .claim("kafka", plan.batchSize, (rows) => deliver(rows, send, (error) => error instanceof Outage))
              .catch((error: unknown) => {
                if (!(error instanceof Crash) && !(error instanceof Error && error.message === "the claim was lost")) {
                  throw error;
                }
              });
          }
        };
        const all = Promise.all([
          writers.then(() => {
            writing = false;
          }),
          relay(),
          relay(),
        ]);
        await scheduler.waitFor(all);

        const parked = new Set(outbox.parked().map(({ payload }) => payload));
        expect([...parked].every(isPoison)).toBe(true);
        expect(outbox.depth()).toBe(0);
        for (const aggregate of aggregates) {
          const firsts = [
            ...new Set(delivered.filter((each) => each.aggregate === aggregate).map(({ payload }) => payload)),
          ];
          expect(firsts).toEqual((committed.get(aggregate) ?? []).filter((payload) => !isPoison(payload)));
        }
      }),
      { numRuns: Number(process.env.SIM_RUNS ?? 1000) },
    );
  });
});
