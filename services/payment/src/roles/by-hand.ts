import { userInfo } from "node:os";
import { parseArgs } from "node:util";
import { paymentId, paymentSource } from "@pricing-engine/contracts";

export type ByHand = { id: string; source: "api" | "order"; actor: string; reason: string };

/** What a person does to one payment, and why: `ID --reason TEXT [--source api|order] [--actor NAME]`. Undefined: wrong usage. */
export function findByHand(args: string[]): ByHand | undefined {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      reason: { type: "string" },
      source: { type: "string", default: "api" },
      actor: { type: "string", default: userInfo().username },
    },
  });
  const id = paymentId.safeParse(positionals[0]);
  const source = paymentSource.safeParse(values.source);
  const { actor, reason } = values;
  if (!id.success || !source.success || reason === undefined || reason.trim() === "") return undefined;
  return { id: id.data, source: source.data, actor, reason };
}
