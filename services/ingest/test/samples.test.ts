import { readFileSync } from "node:fs";
import { getPriority } from "node:os";
import { eventually } from "@pricing-engine/testkit";
import { expect, it } from "vitest";
import { makeIngest } from "./support/engine.ts";

const sample = (name: string) => readFileSync(new URL(`../../../examples/feeds/${name}`, import.meta.url), "utf8");

it("shows the samples one after another: ids stay, times change, what vanishes stays, what is refused is kept", async () => {
  await using engine = await makeIngest({ sources: [{ name: "samples", format: "plan-list-xml" }] });
  await engine.behave("samples", { documents: [sample("event-list-1.xml")] });
  const [api, worker] = await Promise.all([engine.start("api"), engine.start("worker"), engine.start("poller")]);
  // What it stores may wait for who answers.
  expect([getPriority(api.pid), getPriority(worker.pid)]).toEqual([0, 10]);

  const camela = {
    title: "Camela en concierto",
    start_date: "2021-06-30",
    start_time: "21:00:00",
    end_date: "2021-06-30",
    end_time: "22:00:00",
    min_price: 15,
    max_price: 30,
  };
  const pantomima = {
    title: "Pantomima Full",
    start_date: "2021-02-10",
    start_time: "20:00:00",
    end_date: "2021-02-10",
    end_time: "21:30:00",
    min_price: 55,
    max_price: 55,
  };
  const morancos = {
    title: "Los Morancos",
    start_date: "2021-07-31",
    start_time: "20:00:00",
    end_date: "2021-07-31",
    end_time: "21:00:00",
    min_price: 65,
    max_price: 75,
  };
  const without = (events: readonly { id: string }[]) => events.map(({ id: _id, ...event }) => event);
  const first = await eventually(
    async () => {
      const events = await engine.search(api);
      expect(without(events)).toEqual([pantomima, camela, morancos]);
      return events;
    },
    { timeoutMs: 15_000 },
  );

  await engine.behave("samples", { documents: [sample("event-list-2.xml")] });
  const second = await eventually(
    async () => {
      const events = await engine.search(api);
      expect(without(events)).toEqual([pantomima, camela, { ...morancos, end_time: "21:20:00" }]);
      return events;
    },
    { timeoutMs: 15_000 },
  );
  expect(second.map(({ id }) => id)).toEqual(first.map(({ id }) => id));
  await engine.drained();
  const [status] = await engine.sources(api);
  expect(status).toMatchObject({ state: "Healthy", plans: { seen: 3, rejected: 1 }, rejected: 1 });

  await engine.behave("samples", { documents: [sample("plan-list.xml")] });
  const third = await eventually(
    async () => {
      const events = await engine.search(api);
      expect(without(events)).toEqual([pantomima, camela, { ...morancos, end_time: "21:20:00", max_price: 65 }]);
      return events;
    },
    { timeoutMs: 15_000 },
  );
  expect(third.map(({ id }) => id)).toEqual(first.map(({ id }) => id));

  const list = await engine.command(["rejected", "list"]);
  expect(list).toMatchObject({ code: 0, output: expect.stringContaining("date_invalid") });
  const id = list.output.slice(0, 36);
  const shown = await engine.command(["rejected", "show", id]);
  expect(shown.output).toContain("Tributo a Juanito Valderrama");
  expect(shown.output).toContain("2021-09-31T20:00:00");
  expect(await engine.command(["rejected", "retry"])).toMatchObject({ code: 1 });
  expect((await engine.command(["rejected", "show"])).code).toBe(2);

  // The refused plan comes right, first offline, then on sale.
  const good = sample("event-list-2.xml").replaceAll("2021-09-31", "2021-09-30");
  await engine.behave("samples", { documents: [good] });
  await eventually(async () => expect((await engine.sources(api))[0]?.rejected).toBe(0), { timeoutMs: 20_000 });
  expect(await engine.search(api)).toHaveLength(3);
  await engine.behave("samples", { documents: [good.replace('"offline"', '"online"')] });
  await eventually(async () => expect(await engine.search(api)).toHaveLength(4), { timeoutMs: 20_000 });
  await engine.behave("samples", { documents: [good] });
  await engine.polled("samples", 2);
  await engine.drained();
  expect(await engine.search(api)).toHaveLength(4);

  // Unchanged documents are asked for and not sent.
  expect((await engine.log("samples")).conditional).toBeGreaterThan(0);
  // Both edges of a window are inside.
  const inWindow = async (from: string, to: string) =>
    (await engine.search(api, `?starts_at=${from}&ends_at=${to}`)).length;
  expect(await inWindow("2021-06-30T21:00:00", "2021-06-30T22:00:00Z")).toBe(1);
  expect(await inWindow("2021-06-30T21:00:01", "2021-06-30T22:00:00Z")).toBe(0);
  expect(await inWindow("2021-06-30T21:00:00", "2021-06-30T21:59:59Z")).toBe(0);
  expect(await inWindow("2021-06-30T23:00:00%2B02:00", "2021-06-30T22:00:00Z")).toBe(1);
}, 120_000);
