import { z } from "zod";
import { conditionTypes, type EngineStatus } from "../status.ts";

const instant = (what: string) => z.string().max(64).describe(what);
const count = (what: string) => z.int().min(0).describe(what);
const text = (what: string) => z.string().max(32_768).describe(what);

const condition = z
  .object({
    type: z
      .string()
      .max(316)
      .describe(`One of ${conditionTypes.join(", ")}.`),
    status: z.enum(["True", "False", "Unknown"]).describe("Whether it holds."),
    reason: z.string().max(1024).describe("Why, in CamelCase: for programs."),
    message: text("Why, or what is waited for: for people."),
    lastTransitionTime: instant("When the status last changed."),
    observedGeneration: count("The generation that was judged.").optional(),
  })
  .describe("One condition, as kstatus reads it.");

const replica = z
  .object({
    name: z.string().max(253).describe("Pod or process."),
    pid: count("Process id, locally.").optional(),
    state: z.enum(["starting", "ready", "unready", "waiting", "stopping", "stopped"]).describe("What it does."),
    restarts: count("How often it was started again."),
    reason: text("Why it is not ready.").optional(),
    lastLog: z.array(text("One line.")).max(100).describe("The last lines before it ended.").optional(),
  })
  .describe("One pod or process.");

const worker = z
  .object({
    role: z.string().max(63).describe("Role."),
    replicas: count("Copies that exist."),
    ready: count("Copies that are ready."),
    desired: count("Copies that are wanted."),
    lag: count("Messages that wait for its group.").optional(),
    drainSeconds: z.number().min(0).describe("Measured time to work off what waits.").optional(),
    reason: text("Why it is as many.").optional(),
    processes: z.array(replica).max(1000).describe("Each copy.").optional(),
  })
  .describe("The copies of one role.");

const processor = z
  .object({
    name: z.string().max(63).describe("`default` or `fallback`."),
    state: z.enum(["Healthy", "Degraded", "Down", "Unknown"]).describe("Verdict of the probes."),
    latency: z.string().max(64).describe("Its own least response time."),
    since: instant("When the state began."),
  })
  .describe("One payment processor.");

const partition = z
  .object({
    table: z.string().max(127).describe("Table."),
    aheadUntil: instant("First instant that no partition holds."),
    months: count("Partitions that exist."),
  })
  .describe("The partitions of one table.");

const source = z
  .object({
    name: z.string().max(63).describe("Source."),
    lastSuccess: z.string().max(64).meta({ description: "When a document was last read whole.", nullable: true }),
    state: z.string().max(1024).describe("What it does."),
  })
  .describe("One provider feed.");

const summary = z
  .object({
    workers: z.string().max(64).describe("Copies ready of copies wanted, over all roles."),
    lag: count("Messages that wait, over all groups."),
    partitionsUntil: z.string().max(64).describe("Last month that every partitioned table has, such as 2027-03."),
  })
  .partial()
  .describe("What `kubectl get pe` shows in its columns.");

export const statusSchema = z
  .object({
    observedGeneration: count("The generation that this status is about."),
    conditions: z
      .array(condition)
      .max(32)
      .meta({
        description: "What holds, and why.",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
      }),
    workers: z.array(worker).max(100).describe("Copies of each role."),
    processors: z.array(processor).max(10).describe("The payment processors."),
    route: z.enum(["default", "fallback", "hold"]).describe("Where payments go."),
    manualReview: count("Payments that a person must look at (1,000: or more); `payments manual-review` lists them."),
    partitions: z.array(partition).max(100).describe("Partitions of each table."),
    sources: z.array(source).max(100).describe("Provider feeds."),
    notImplemented: z
      .array(z.object({ path: text("Field."), message: text("Why it is not run.") }).describe("One field."))
      .max(100)
      .describe("Fields that are accepted and not run."),
    summary,
    // A field that the schema does not know would be pruned without a word.
  } satisfies Record<keyof EngineStatus, z.ZodType>)
  .partial()
  .describe("What the operator reports.");
