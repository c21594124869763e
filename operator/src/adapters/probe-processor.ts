import { z } from "zod";
import type { ProbeResult } from "../core/failover.ts";

const timeoutMs = 3_000;
const healthSchema = z.object({ failing: z.boolean(), minResponseTime: z.number().min(0) });

/** `GET /payments/service-health`: 429 means too soon; what is no answer of the protocol counts as none. */
export async function probeProcessor(
  url: string,
  token: string | undefined,
  signal: AbortSignal,
): Promise<ProbeResult> {
  try {
    const response = await fetch(`${url.replace(/\/+$/, "")}/payments/service-health`, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      redirect: "error",
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    if (response.status === 429) {
      await response.body?.cancel();
      return { kind: "too_soon" };
    }
    const health = response.ok ? healthSchema.safeParse(await response.json()) : undefined;
    if (health?.success !== true) {
      await response.body?.cancel().catch(() => undefined);
      return { kind: "unanswered" };
    }
    return { kind: "answer", failing: health.data.failing, minResponseTimeMs: health.data.minResponseTime };
  } catch {
    return { kind: "unanswered" };
  }
}
