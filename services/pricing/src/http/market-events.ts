import { AppError } from "@pricing-engine/chassis/errors";
import { addLogFields, type HttpApp, parseBody, parseParams } from "@pricing-engine/chassis/http";
import { marketEventRequest, taskId, topicName, topics } from "@pricing-engine/contracts";
import { z } from "zod";
import type { GetTask } from "../usecases/get-task.ts";
import type { PublishMarketEvent } from "../usecases/publish-market-event.ts";
import { unknownProduct } from "./products.ts";

export interface MarketEventRoutes {
  readonly publishMarketEvent: PublishMarketEvent;
  readonly getTask: GetTask;
  readonly prefix: string;
}

/** `POST /api/v1/publish-market-event`, `GET /api/v1/tasks/{task_id}` */
export function mountMarketEvents(app: HttpApp, { publishMarketEvent, getTask, prefix }: MarketEventRoutes): void {
  const channel = topicName(prefix, topics.marketEvents);
  app.post("/api/v1/publish-market-event", async (c) => {
    const event = await parseBody(c, marketEventRequest);
    const result = await publishMarketEvent(event);
    if (result.kind === "unknown_product") throw unknownProduct(event.product_id ?? "");
    addLogFields(c, { taskId: result.taskId });
    return c.json({ status: "Event published", channel, task_id: result.taskId }, 202);
  });
  app.get("/api/v1/tasks/:task_id", async (c) => {
    const { task_id } = parseParams(c, z.object({ task_id: taskId }));
    const task = await getTask(task_id);
    if (task === undefined) throw new AppError("not_found", { detail: `there is no task "${task_id}"` });
    return c.json(task);
  });
}
