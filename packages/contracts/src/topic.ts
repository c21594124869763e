/** Topic names within an engine; `topicName` adds the prefix. */
export const topics = {
  marketEvents: "market-events",
  recalculations: "recalculations",
  priceChanges: "price-changes",
  catalogEvents: "catalog-events",
  payments: "payments",
  paymentControls: "payment-controls",
  paymentEvents: "payment-events",
  orders: "orders",
  orderInventory: "order-inventory",
  orderPayment: "order-payment",
  orderFulfillment: "order-fulfillment",
  orderNotification: "order-notification",
} as const;

/** `<namespace>.<engine>.`: begins every topic, group and Redis key of one engine. */
export function enginePrefix(namespace: string, engine: string): string {
  return `${namespace}.${engine}.`;
}

export function topicName(prefix: string, name: string): string {
  return `${prefix}${name}`;
}

export function groupName(prefix: string, name: string): string {
  return `${prefix}${name}`;
}

/** `<topic>.<group>.retry`; the prefix that topic and group share is written once. */
export function retryTopic(topic: string, group: string): string {
  return `${topic}.${withoutPrefixOf(topic, group)}.retry`;
}

/** `<topic>.<group>.dlq`; the prefix that topic and group share is written once. */
export function deadLetterTopic(topic: string, group: string): string {
  return `${topic}.${withoutPrefixOf(topic, group)}.dlq`;
}

// Names after the prefix hold no dots, so the prefix ends at the last one.
function withoutPrefixOf(topic: string, group: string): string {
  const prefix = topic.slice(0, topic.lastIndexOf(".") + 1);
  return group.startsWith(prefix) ? group.slice(prefix.length) : group;
}
