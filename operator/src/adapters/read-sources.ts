import { sourcesResponse } from "@pricing-engine/contracts";
import type { SourceFeedStatus } from "../api/status.ts";

/** How the feeds are doing, as ingest's api says. @throws when it cannot be asked */
export async function readSources(ingestUrl: string): Promise<readonly SourceFeedStatus[]> {
  const answer = await fetch(`${ingestUrl}/api/v1/sources`, { signal: AbortSignal.timeout(1500) });
  const { sources } = sourcesResponse.parse(await answer.json());
  return sources.map(({ name, last_success, state }) => ({ name, lastSuccess: last_success, state }));
}
