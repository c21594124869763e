import { findDuration, parseDuration } from "@pricing-engine/chassis/config";
import { z } from "zod";

/** A Go duration of the resource: as it was written, and in milliseconds. */
export interface Duration {
  readonly text: string;
  readonly ms: number;
}

const durationHint = 'expected a duration such as "90s", "1h30m" or "0s"';

function toDuration(text: string, context: z.RefinementCtx): Duration {
  const ms = findDuration(text);
  if (ms !== undefined) return { text, ms };
  context.addIssue({ code: "custom", message: durationHint });
  return z.NEVER;
}

const durationText = z.string({ error: durationHint });
const durationPattern = "^(0|([0-9]+(\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$";

/** Ten years. */
const longest = "87840h";

/** A duration field. Limits are inclusive; the message names them as a person would write them. */
export function duration(
  description: string,
  { atLeast = "0s", atMost = longest }: { atLeast?: string; atMost?: string } = {},
) {
  const [atLeastMs, atMostMs] = [parseDuration(atLeast), parseDuration(atMost)];
  return durationText
    .transform(toDuration)
    .refine((value) => value.ms >= atLeastMs, { error: `must be at least ${atLeast}` })
    .refine((value) => value.ms <= atMostMs, { error: `must be at most ${atMost}` })
    .meta({
      description,
      pattern: durationPattern,
      maxLength: 64,
      ...admission(
        `duration(self) >= duration('${atLeast}') && duration(self) <= duration('${atMost}')`,
        `must be at least ${atLeast} and at most ${atMost}`,
      ),
    });
}

/** The rule of a refinement as the API server checks it (CEL): what the CRD says beside the type. */
export function admission(rule: string, message: string) {
  return { "x-kubernetes-validations": [{ rule, message }] };
}

/** A decimal string: money and ratios are never YAML numbers, so that no digit depends on a float. */
export function decimal(description: string, options: { signed?: boolean; maxDecimals?: number } = {}) {
  const decimals = `(\\.\\d{1,${options.maxDecimals ?? 9}})?`;
  const pattern = new RegExp(`^${options.signed === true ? "-?" : ""}\\d{1,15}${decimals}$`);
  const hint = 'expected a decimal string in quotes, such as "0.05"';
  return z.string({ error: hint }).regex(pattern, { error: hint }).meta({ description, maxLength: 26 });
}

/** A decimal string in 0…1. */
export function ratio(description: string) {
  return decimal(description)
    .refine((text) => Number(text) <= 1, { error: 'must lie between "0" and "1"' })
    .meta(admission("double(self) <= 1.0", 'must lie between "0" and "1"'));
}

/** `24mo`: calendar months, which Go's durations cannot say. */
export interface Months {
  readonly text: string;
  readonly months: number;
}

export function months(description: string) {
  const hint = 'expected calendar months such as "24mo"';
  return z
    .string({ error: hint })
    .regex(/^[1-9]\d{0,3}mo$/, { error: hint })
    .transform((text): Months => ({ text, months: Number(text.slice(0, -2)) }))
    .describe(description);
}

/** A DNS label: what Kubernetes accepts as a name, and Kafka and Redis as a part of theirs. */
export function dnsLabel(description: string, maxLength = 63) {
  return z
    .string()
    .max(maxLength)
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, {
      error: "expected lower-case letters, digits and dashes, beginning and ending with a letter or digit",
    })
    .describe(description);
}

export function httpUrl(description: string) {
  return z
    .string()
    .max(2048)
    .refine((text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ""), { error: "expected an http or https URL" })
    .meta({ description, pattern: "^[hH][tT][tT][pP][sS]?:/*[^/\\s]+" });
}

export const secretRef = (keys: string) =>
  z
    .strictObject({ name: dnsLabel("Name of the Secret, in the resource's namespace.", 253) })
    .describe(`Secret with ${keys}.`);

/** Kubernetes quantities are passed through to the pod, which is what checks them. */
const quantities = (what: string) =>
  z.record(z.string(), z.union([z.string(), z.number()])).describe(`${what}, as in a pod: cpu, memory.`);

export const resources = z
  .strictObject({
    requests: quantities("What a pod asks for").optional(),
    limits: quantities("What a pod may use at most").optional(),
  })
  .describe("Resources of each pod. The local runtime does not limit its processes.");

/**
 * Parameters of a relation between fields of one object. It is judged whenever these fields are sound, whatever else is
 * wrong beside them, so that all problems of a file come at once.
 */
export function relation(fields: readonly string[], path: string, error: string) {
  return {
    path: [path],
    error,
    when: ({ value, issues }: { value: unknown; issues: readonly { path?: PropertyKey[] | undefined }[] }) =>
      typeof value === "object" && value !== null && !issues.some((issue) => fields.includes(String(issue.path?.[0]))),
  };
}

/** Workers of one role. Without `max` above the partitions: one partition has one consumer. */
export const workers = z
  .strictObject({
    min: z.int().min(0).max(1000).default(1).describe("Workers that always run. 0 stops them while nothing waits."),
    max: z.int().min(1).max(1000).default(12).describe("Most workers, capped by the partitions of their topic."),
    drainTarget: duration("A backlog is to be worked off within this time.", { atLeast: "1s" }).prefault("10s"),
    resources: resources.optional(),
  })
  .refine((value) => value.min <= value.max, relation(["min", "max"], "min", "must not exceed max"))
  .meta({
    description: "How many workers run: the operator scales between min and max by lag.",
    ...admission("self.min <= self.max", "min must not exceed max"),
  });

/** An issue for every item whose key was there before: lists are keyed by name. */
export function refuseDuplicates<T>(
  items: readonly T[],
  key: (item: T) => string,
  field: string,
  context: { addIssue(issue: { code: "custom"; path: PropertyKey[]; message: string }): void },
): void {
  const seen = new Set<string>();
  items.forEach((item, index) => {
    const name = key(item);
    if (seen.has(name)) {
      context.addIssue({ code: "custom", path: [index, field], message: `${JSON.stringify(name)} is there twice` });
    }
    seen.add(name);
  });
}
