import { fromMinor } from "@pricing-engine/money";
import fc from "fast-check";
import { expect, it } from "vitest";
import { roundPrice } from "./rounding.ts";

it("takes the allowed price that looking at each of them finds, and otherwise stays between the bounds", () => {
  const hundredths = fc.integer({ min: 0, max: 300_000 });
  const increment = fc.integer({ min: 1, max: 60 });
  fc.assert(
    fc.property(hundredths, increment, fc.nat(59), fc.nat(300), fc.nat(300), (scaled, step, rest, below, above) => {
      const ending = rest % step;
      const low = Math.max(0, Math.floor(scaled / 100) - below);
      const high = Math.ceil(scaled / 100) + above;
      const rounding = { increment: fromMinor(step, "EUR"), ending: fromMinor(ending, "EUR") };
      const rounded = roundPrice({ coefficient: BigInt(scaled), scale: 4 }, "EUR", rounding, low, high);
      const distance = (minor: number) => Math.abs(minor * 100 - scaled);
      let nearest: number | undefined;
      for (let minor = ending; minor <= high; minor += step) {
        if (minor >= low && (nearest === undefined || distance(minor) < distance(nearest))) nearest = minor;
      }
      if (nearest !== undefined) expect(rounded).toBe(nearest);
      else expect(rounded >= low && rounded <= high && distance(rounded) <= 100).toBe(true);
    }),
    { numRuns: 2000 },
  );
});
