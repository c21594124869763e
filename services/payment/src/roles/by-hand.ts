import { userInfo } from "node:os";
import { parseArgs } from "node:util";
import { paymentId, paymentSource } from "@pricing-engine/contracts";

/** `source` undefined: whatever the id is of. */
export type ByHand = { id: string; source: "api" | "order" | undefined; actor: string; reason: string };

/**
 * What a person does to one payment, and why: `ID --reason TEXT [--source api|order] [--actor NAME]`; with `unexplained` the reason may be left
 * out. Undefined: wrong usage.
 */
export function findByHand(
  args: string[],
  { runBy = findUser, unexplained }: { runBy?: () => string; unexplained?: string } = {},
): ByHand | undefined {
  const parsed = parse(args);
  if (parsed?.positionals.length !== 1) return undefined;
  const { reason = unexplained, source: from, actor = runBy() } = parsed.values;
  const id = paymentId.safeParse(parsed.positionals[0]);
  const source = paymentSource.optional().safeParse(from);
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
        source: { type: "string" },
        actor: { type: "string" },
      },
    });
  } catch {
    return undefined;
  }
}

/** In an image the user is a bare number, for which there is no name. */
export function findUser(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
