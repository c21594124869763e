import { z } from "zod";

export const healthResponse = z.object({ status: z.literal("healthy") }).meta({ id: "Health" });
