import fc from "fast-check";
import { expect, it } from "vitest";
import { makeSingleFlight } from "./single-flight.ts";

// A reader names the version that it has seen in its key, as a ticket does. Versions are published meanwhile.
it("computes once at a time, and never gives a reader less than it has seen", async () => {
  const readers = fc.integer({ min: 1, max: 30 });
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), readers, fc.nat(5), fc.nat(7), async (scheduler, count, publishes, failing) => {
      let published = 0;
      let shown = 0;
      let flights = 0;
      const inTheAir = new Set<string>();
      const join = makeSingleFlight<number>();
      const fly = (key: string) => async (): Promise<number> => {
        expect(inTheAir.has(key)).toBe(false);
        inTheAir.add(key);
        flights += 1;
        const fails = flights === failing;
        await scheduler.schedule(Promise.resolve(), "reads");
        const read = published;
        await scheduler.schedule(Promise.resolve(), "answers");
        inTheAir.delete(key);
        if (fails) throw new Error("away");
        return read;
      };
      const reads = Array.from({ length: count }, async () => {
        await scheduler.schedule(Promise.resolve(), "asks");
        const seen = shown;
        const key = String(seen);
        const answer = await join(key, fly(key)).catch(() => undefined);
        if (answer === undefined) return;
        expect(answer).toBeGreaterThanOrEqual(seen);
        shown = Math.max(shown, answer);
      });
      const writes = Array.from({ length: publishes }, async () => {
        await scheduler.schedule(Promise.resolve(), "publishes");
        published += 1;
      });
      await scheduler.waitFor(Promise.all([...reads, ...writes]));
      expect(inTheAir.size).toBe(0);
      expect(flights).toBeGreaterThan(0);
      expect(flights).toBeLessThanOrEqual(count);
    }),
    { numRuns: 2000 },
  );
});
