export const orderStages = ["inventory", "payment", "fulfillment", "notification"] as const;
export type OrderStage = (typeof orderStages)[number];
