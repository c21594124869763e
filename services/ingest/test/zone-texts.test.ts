import { eventually } from "@pricing-engine/testkit";
import { expect, it } from "vitest";
import { makeIngest } from "./support/engine.ts";

it("stores ids and names of zones as they are, whatever an array of Postgres makes of their characters", async () => {
  const texts = ['say "A"', "back\\slash", 'both \\"', "{a,b}", "NULL", "null", "a,b", "'quoted'", "Größe ✓"];
  await using engine = await makeIngest({ sources: [{ name: "f", timeoutMs: 1500 }] });
  const escaped = (text: string) => text.replaceAll('"', "&quot;");
  const zones = texts.map((text) => {
    return `<zone zone_id="${escaped(text)}" capacity="9" price="10" name="${escaped(text)}" numbered="false"/>`;
  });
  const plan = `<plan plan_id="1" plan_start_date="2031-01-01T20:00:00" plan_end_date="2031-01-01T22:00:00">${zones.join("")}</plan>`;
  const base = `<base_plan base_plan_id="a" sell_mode="online" title="Plan">${plan}</base_plan>`;
  await engine.behave("f", { documents: [`<planList><output>${base}</output></planList>`] });
  await Promise.all([engine.start("worker"), engine.start("poller")]);
  await eventually(
    async () => {
      const rows = await engine.sql`select zone_id, name from ingest.zones order by position`;
      expect(rows.map(({ zone_id, name }) => [zone_id, name])).toEqual(texts.map((text) => [text, text]));
    },
    { timeoutMs: 20_000 },
  );
}, 60_000);
