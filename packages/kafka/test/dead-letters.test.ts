import { eventually, infra } from "@pricing-engine/testkit";
import { describe, expect, it } from "vitest";
import { makeDeadLetterCommand, makeDeadLetters } from "../src/index.ts";
import { makeBench } from "./support/bench.ts";

describe("dead letters", () => {
  it("are listed, shown and replayed to their group alone, once", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    const { kafka, admin, producer, prefix, topic } = bench;
    let broken = true;
    const healed: string[] = [];
    const attempts: number[] = [];
    bench.consume({
      retry: { attempts: 2, baseMs: 20, maxMs: 50 },
      async handle({ key, value, attempt, headers }) {
        attempts.push(attempt);
        if (broken) throw new Error("schema of tomorrow");
        healed.push(`${key}=${value.toString()} ${headers.kind}`);
      },
    });
    for (const key of ["a", "b"]) await producer.send({ topic, key, value: `body ${key}`, headers: { kind: "test" } });
    const deadLetters = makeDeadLetters({ kafka, admin, producer, prefix });
    const dlq = `${topic}.worker.dlq`;
    await eventually(async () => expect(await deadLetters.show(dlq)).toHaveLength(2));
    const lines: string[] = [];
    const dlqCommand = makeDeadLetterCommand({ deadLetters, write: (line) => lines.push(line) });
    const run = async (...args: string[]) => {
      lines.length = 0;
      return { code: await dlqCommand(args), text: lines.join("\n") };
    };

    expect(await run("list")).toMatchObject({
      code: 0,
      text: expect.stringContaining(`${dlq}  2 letters, 0 replayed`),
    });
    expect((await run("show", dlq, "--id", "0/0")).text).toMatch(
      /internal: schema of tomorrow[\s\S]*kind: test[\s\S]*body/,
    );
    expect(JSON.parse((await run("show", dlq, "--json")).text.split("\n")[0] ?? "")).toMatchObject({ attempts: 2 });
    expect(await run("show", dlq, "--id", "9/9")).toMatchObject({ code: 2 });
    expect(await run("bury", dlq)).toMatchObject({ code: 2, text: expect.stringContaining("usage") });
    expect(await run("replay", dlq, "--sideways")).toMatchObject({ code: 2 });

    broken = false;
    attempts.length = 0;
    expect((await run("replay", dlq, "--id", "0/0")).text).toBe("1 replayed");
    expect((await run("replay", dlq)).text).toContain("1 replayed, 1 were replayed before");
    expect((await run("replay", dlq)).text).toContain("0 replayed, 2");
    await eventually(() => expect(healed.toSorted()).toEqual(["a=body a test", "b=body b test"]));
    expect(attempts).toEqual([1, 1]);
    expect((await run("replay", dlq, "--again")).text).toBe("2 replayed");
    await eventually(() => expect(healed).toHaveLength(4));
    expect((await run("list")).text).toContain("2 letters, 2 replayed");
    // Other groups see nothing: the topic itself has its two messages only.
    expect((await admin.groupLag(`${prefix}nobody`, [topic])).total).toBe(2n);
  });
});
