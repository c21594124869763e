import { z } from "zod";
import { duration, httpUrl, ratio, relation, secretRef, workers } from "./fields.ts";

const processor = z.strictObject({
  name: z.enum(["default", "fallback"]).describe("`default` is preferred; `fallback` costs more."),
  url: httpUrl("Base address of the processor."),
  fee: ratio("Share of each amount that the processor keeps."),
  secretRef: secretRef("`token`").optional(),
});

const processors = z
  .array(processor)
  .superRefine((list, context) => {
    const names = list.map((item) => item.name).sort();
    if (names.length !== 2 || names[0] !== "default" || names[1] !== "fallback") {
      context.addIssue({ code: "custom", message: "expected exactly two processors, named default and fallback" });
    }
  })
  .describe(
    "The two payment processors: exactly `default` and `fallback`. The local runtime starts two simulated ones when they are left out.",
  );

const failover = z
  .strictObject({
    probeInterval: duration("Time between two health probes of a processor, which allows one in 5 s.", {
      atLeast: "5s",
      // A timer takes 24.8 days at most: what is longer would be over at once.
      atMost: "24h",
    }).prefault("5s"),
    failureThreshold: z.int().min(1).max(100).default(3).describe("Unanswered probes that make a processor Down."),
    recoveryThreshold: z.int().min(1).max(100).default(2).describe("Good probes that end it."),
    maxVerdictAge: duration("An older verdict counts as unknown, so that losing the operator harms nothing.").prefault(
      "30s",
    ),
  })
  .refine(
    (value) => value.maxVerdictAge.ms > value.probeInterval.ms,
    relation(["maxVerdictAge", "probeInterval"], "maxVerdictAge", "must be longer than probeInterval"),
  )
  .describe("How the operator decides that a processor is down.");

const routing = z
  .strictObject({
    maxHold: duration("A payment waits at most this long for the default processor.").prefault("30s"),
    preferDefaultBelow: duration("Below this latency the default processor is always taken.").prefault("120ms"),
    maxLatencyRatio: z
      .number()
      .min(1)
      .max(1000)
      .default(3)
      .describe("default ÷ fallback latency above which default counts as slow."),
  })
  .describe("Which processor a payment goes to: the least fee with every deadline kept.");

export const payment = z
  .strictObject({
    processors: processors.optional(),
    failover: failover.prefault({}),
    routing: routing.prefault({}),
    workers: workers.prefault({}),
  })
  .describe("Charges and refunds over two unreliable processors.");
