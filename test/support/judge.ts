import type { Answer, CallOptions, EngineClient } from "./client.ts";
import type { Case } from "./malform.ts";
import type { Operation } from "./openapi.ts";
import { findContractFault, type Problem } from "./problem.ts";

/** Runs the cases, some at a time, and gives back what is wrong with the answers. */
export async function faultsOf(
  client: EngineClient,
  cases: readonly Case[],
  judge: (answer: Answer, each: Case) => string | undefined,
): Promise<readonly string[]> {
  const faults: string[] = [];
  const waiting = [...cases];
  const run = async (): Promise<void> => {
    for (let each = waiting.shift(); each !== undefined; each = waiting.shift()) {
      const answer = await send(client, each);
      const fault = judge(answer, each);
      if (fault !== undefined) faults.push(`${each.name}: ${fault}; got ${answer.status} ${detailOf(answer)}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, run));
  return faults;
}

function detailOf({ body, text }: Answer): string {
  return String((body as Partial<Problem> | undefined)?.detail ?? text).slice(0, 120);
}

function send(client: EngineClient, { method, target, raw, headers }: Case): Promise<Answer> {
  const options: CallOptions = { ...(raw === undefined ? {} : { raw }), ...(headers === undefined ? {} : { headers }) };
  return client.call(method, target, options);
}

/** A 4xx by the contract that names the offending field (or one that holds it, where no single one is to blame). */
export function refused(answer: Answer, { status = 400, orStatus, pointer }: Case): string | undefined {
  if (answer.status !== status && answer.status !== orStatus) return `expected ${status}`;
  const fault = findContractFault(answer);
  if (fault !== undefined || pointer === undefined) return fault;
  const { errors = [] } = answer.body as Problem;
  const named = errors.map((error) => error.pointer);
  return named.some(
    (at) => at === pointer || at.startsWith(`${pointer}/`) || (at !== "" && pointer.startsWith(`${at}/`)),
  )
    ? undefined
    : `names ${named.join(" ").slice(0, 80)}`;
}

/** What each case is made from must be taken, or the cases would be refused for something else. */
export function wellFormed(operations: readonly Operation[]): readonly Case[] {
  return operations.flatMap((operation) =>
    operation.variants.map((value) => ({
      name: `${operation.name} as it should be`,
      method: operation.method,
      target: operation.target,
      raw: JSON.stringify(value),
      headers: { "content-type": operation.contentType },
    })),
  );
}

export function taken({ status }: Answer): string | undefined {
  return status === 400 || status === 413 || status === 415 || status >= 500 ? "refused" : undefined;
}
