import { z } from "zod";
import { taskId } from "./text.ts";
import { time } from "./time.ts";

export const taskStatuses = ["queued", "running", "succeeded", "failed", "skipped"] as const;
export const taskStatus = z.enum(taskStatuses).meta({ example: "succeeded" });
export type TaskStatus = z.infer<typeof taskStatus>;

export const taskTypes = ["demand", "competitor_price", "stock", "cost", "recalculate"] as const;
export const taskType = z.enum(taskTypes).meta({ example: "demand" });
export type TaskType = z.infer<typeof taskType>;

const count = z.int().min(0);

export const taskResponse = z
  .object({
    task_id: taskId,
    type: taskType,
    status: taskStatus,
    products: z
      .object({ total: count, done: count, changed: count, failed: count })
      .meta({ example: { total: 1, done: 1, changed: 1, failed: 0 } }),
    created_at: time,
    finished_at: time.nullable(),
    error: z
      .string()
      .optional()
      .meta({ description: "Why it failed or was skipped.", example: "An older observation" }),
  })
  .meta({ id: "Task" });
export type TaskResponse = z.infer<typeof taskResponse>;
