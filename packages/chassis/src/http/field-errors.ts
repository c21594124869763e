import type { z } from "zod";
import type { FieldError } from "../errors/index.ts";

type Issue = z.core.$ZodIssue;

const maxFieldErrors = 100;

/** One entry per offending field, deepest known place; values are never repeated. */
export function fieldErrorsOf(
  issues: readonly Issue[],
  render: (path: readonly PropertyKey[]) => string,
): readonly FieldError[] {
  return issues.flatMap((issue) => expand(issue, [], render)).slice(0, maxFieldErrors);
}

function expand(
  issue: Issue,
  above: readonly PropertyKey[],
  render: (path: readonly PropertyKey[]) => string,
): FieldError[] {
  const path = [...above, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      pointer: render([...path, key]),
      code: "unknown_field",
      message: "is not known here",
    }));
  }
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    // The branch that got furthest says most about what was meant.
    const branch = issue.errors.toSorted((a, b) => depthOf(b) - depthOf(a) || a.length - b.length)[0] ?? [];
    if (depthOf(branch) > 0) return branch.flatMap((inner) => expand(inner, path, render));
  }
  return [{ pointer: render(path), code: issue.code, message: issue.message }];
}

function depthOf(issues: readonly Issue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length));
}
