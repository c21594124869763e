import { z } from "zod";
import { text } from "./text.ts";
import { time } from "./time.ts";

export const roles = ["reader", "writer", "admin"] as const;
export const role = z.enum(roles).meta({ example: "writer" });
export type Role = z.infer<typeof role>;

export const keyRequest = z
  .strictObject({ tenant: text({ min: 1, max: 255 }).meta({ example: "acme" }), role })
  .meta({ id: "KeyRequest", examples: [{ tenant: "acme", role: "writer" }] });
export type KeyRequest = z.infer<typeof keyRequest>;

const keyShape = {
  key_id: z.string().meta({ example: "key_01930a2b7c4d7e8f9a0b1c2d3e4f5a6b" }),
  tenant: z.string().meta({ example: "acme" }),
  role,
  created_at: time,
};

export const keyCreatedResponse = z
  .object({
    ...keyShape,
    key: z.string().meta({
      description: "Shown this once; only its hash is kept.",
      example: "pe_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    }),
  })
  .meta({ id: "KeyCreated" });
export type KeyCreatedResponse = z.infer<typeof keyCreatedResponse>;

export const keyListResponse = z.object({ keys: z.array(z.object(keyShape)) }).meta({ id: "KeyList" });
export type KeyListResponse = z.infer<typeof keyListResponse>;
