import { userInfo } from "node:os";
import { parseArgs } from "node:util";
import { paymentId, paymentSource } from "@pricing-engine/contracts";

export type ByHand = { id: string; source: "api" | "order"; actor: string; reason: string };

/** What a person does to one payment, and why: `ID --reason TEXT [--source api|order] [--actor NAME]`. Undefined: wrong usage. */
export function findByHand(args: string[], runBy: () => string = findUser): ByHand | undefined {
  const parsed = parse(args);
  if (parsed?.positionals.length !== 1) return undefined;
  const { reason, source: from, actor = runBy() } = parsed.values;
  const id = paymentId.safeParse(parsed.positionals[0]);
  const source = paymentSource.safeParse(from);
  if (!id.success || !source.success || actor.trim() === "" || reason === undefined || reason.trim() === "") {
    return undefined;
  }
  return { id: id.data, source: source.data, actor, reason };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        reason: { type: "string" },
        source: { type: "string", default: "api" },
        actor: { type: "string" },
      },
    });
  } catch {
    return undefined;
  }
}

/** In an image the user is a bare number, for which there is no name. */
function findUser(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
