import type { z } from "zod";

/** A setting that stops start-up: every problem at once. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      `the configuration has ${problems.length} problem(s):\n${problems.map((problem) => `  - ${problem}`).join("\n")}`,
    );
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/**
 * Reads a process's settings from its environment. An empty variable counts as absent. White space around a value is not its own: a
 * Secret that was made from a file ends with a line break, which no header or password takes. Problems name the variable and what is
 * expected, never the value: it may be a secret.
 * @throws ConfigError with all problems.
 */
export function loadConfig<Schema extends z.ZodType>(
  schema: Schema,
  env: Readonly<Record<string, string | undefined>>,
): z.output<Schema> {
  const trimmed = Object.entries(env).map(([name, value]) => [name, value?.trim() ?? ""] as const);
  const present = Object.fromEntries(trimmed.filter(([, value]) => value !== ""));
  const result = schema.safeParse(present);
  if (result.success) return result.data;
  throw new ConfigError(
    result.error.issues.map((issue) => {
      const name = issue.path.join(".");
      const missing = name !== "" && !(name in present);
      return `${name === "" ? "configuration" : name}: ${missing ? "is required" : issue.message}`;
    }),
  );
}

const secretName = /url|key|secret|password|token|sasl|credential/i;

/** A copy of a config for the log: passwords in URLs are cut out, and other values with secret names are masked. */
export function redactConfig(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).map(([name, value]) => {
      if (typeof value === "string" && URL.canParse(value)) return [name, redactUrl(value)];
      const isPath = name.toUpperCase().endsWith("_FILE");
      return [name, value !== undefined && !isPath && secretName.test(name) ? "[redacted]" : value];
    }),
  );
}

/** The URL without its password and query. */
export function redactUrl(text: string): string {
  if (!URL.canParse(text)) return "[redacted]";
  const url = new URL(text);
  if (url.password !== "") url.password = "redacted";
  url.search = "";
  return url.href;
}
