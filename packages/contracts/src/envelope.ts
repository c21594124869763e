import { z } from "zod";
import { text } from "./text.ts";

const envelopeShape = {
  id: text({ min: 1, max: 255 }),
  type: text({ min: 1, max: 255 }),
  version: z.int().min(1),
  occurredAt: z.iso.datetime({ offset: true }),
  tenantId: text({ min: 1, max: 255 }),
};

/** What every message of ours carries; fields added later are kept out of the way of older readers. */
export const envelope = z.object({ ...envelopeShape, data: z.unknown() });
export type Envelope = z.infer<typeof envelope>;

/** The envelope of one type and version of message with its data checked. */
export function envelopeOf<Type extends string, Data extends z.ZodType>(
  type: Type,
  data: Data,
): z.ZodObject<{
  id: z.ZodString;
  type: z.ZodLiteral<Type>;
  version: z.ZodLiteral<1>;
  occurredAt: z.ZodISODateTime;
  tenantId: z.ZodString;
  data: Data;
}> {
  return z.object({ ...envelopeShape, type: z.literal(type), version: z.literal(1), data });
}

/** Tenant of what belongs to the engine as a whole (products, prices). */
export const engineTenant = "default";
