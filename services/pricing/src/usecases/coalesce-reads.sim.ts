import fc from "fast-check";
import { expect, it } from "vitest";
import { coalesceReads } from "./coalesce-reads.ts";

const keys = ["a", "b", "c", "d", "e"];

it("reads every key after it was asked for, in bounded reads, whatever the interleaving", async () => {
  const asks = fc.array(fc.constantFrom(...keys), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      asks,
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 4 }),
      fc.nat(9),
      async (scheduler, asked, maxInFlight, maxKeys, failing) => {
        // A value is the moment at which it was read; the clock moves with every ask and every read.
        let clock = 0;
        let inFlight = 0;
        let reads = 0;
        const load = coalesceReads<number>({
          maxInFlight,
          maxKeys,
          readMany: async (wanted) => {
            inFlight += 1;
            reads += 1;
            const fails = reads === failing;
            expect(inFlight).toBeLessThanOrEqual(maxInFlight);
            expect(wanted.length).toBeLessThanOrEqual(maxKeys);
            expect(new Set(wanted).size).toBe(wanted.length);
            await scheduler.schedule(Promise.resolve(), "arrives");
            clock += 1;
            const readAt = clock;
            await scheduler.schedule(Promise.resolve(), "answers");
            inFlight -= 1;
            if (fails) throw new Error("away");
            return new Map(wanted.filter((key) => key !== "e").map((key) => [key, readAt]));
          },
        });
        let failed = 0;
        const answers = asked.map(async (key) => {
          await scheduler.schedule(Promise.resolve(), `asks ${key}`);
          clock += 1;
          const askedAt = clock;
          try {
            const readAt = await load(key);
            if (key === "e") expect(readAt).toBeUndefined();
            else expect(readAt).toBeGreaterThan(askedAt);
          } catch (error) {
            if (!(error instanceof Error) || error.message !== "away") throw error;
            failed += 1;
          }
        });
        await scheduler.waitFor(Promise.all(answers));
        expect(failed === 0 || reads >= failing).toBe(true);
        expect(failed).toBeLessThanOrEqual(failing === 0 ? 0 : asked.length);
        expect(inFlight).toBe(0);
      },
    ),
    { numRuns: 1000 },
  );
});
