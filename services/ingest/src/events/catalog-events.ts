import type { MessageBatch } from "@pricing-engine/kafka";
import type { ApplyCatalogEvents } from "../usecases/apply-catalog-events.ts";
import { decodeCatalogEvent } from "./decode-catalog-event.ts";

/** Topic `catalog-events`. A message that is none fails the batch, whose messages then come one by one. */
export function makeCatalogEventsHandler(deps: {
  applyCatalogEvents: ApplyCatalogEvents;
  onApplied: (count: number) => void;
}): (batch: MessageBatch) => Promise<void> {
  return async ({ messages }) => {
    const events = messages.map(({ value }) => decodeCatalogEvent(value));
    const { applied } = await deps.applyCatalogEvents(events);
    deps.onApplied(applied);
  };
}
