/**
 * Relations between fields, as the API server checks them (CEL): each is the twin of a refinement in the zod schema,
 * or one that only an API server can check (what may change).
 */
export interface Amendment {
  readonly path: string;
  readonly more: Readonly<Record<string, unknown>>;
}

const rule = (path: string, expression: string, message: string, more: Readonly<Record<string, unknown>> = {}) => ({
  path,
  more: { ...more, "x-kubernetes-validations": [{ rule: expression, message }] },
});

/** Items are found by name: server-side apply merges them so, and no name is there twice. */
const keyedByName = (path: string): Amendment => ({
  path,
  more: { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] },
});

/** Decimals are compared exactly, as Kubernetes quantities. */
const atMost = (lower: string, upper: string) =>
  `!has(self.${lower}) || !has(self.${upper}) || quantity(self.${lower}).compareTo(quantity(self.${upper})) <= 0`;

const policy = "spec.pricing.policy";
const decimals = [
  ...["minMargin", "floor", "ceiling", "legalMinimum", "maxStep", "maxDailyDrift"].map((name) => `corridor.${name}`),
  "rounding.increment",
  "rounding.ending",
].map((name): Amendment => ({ path: `${policy}.${name}`, more: { maxLength: 22 } }));

const rules: readonly Amendment[] = [
  rule("spec.gateway.replicas", "self.min <= self.max", "min must not exceed max"),
  rule("spec.gateway", "!has(self.httpRoute) || !has(self.ingress)", "give httpRoute or ingress, not both"),
  rule(
    "spec.pricing",
    "duration(self.quoteTtl) > duration(self.cacheTtl)",
    "quoteTtl must be longer than cacheTtl: a price that is still answered must still be honoured",
  ),
  ...["market", "customer"].map((stage) =>
    rule(
      `${policy}.${stage}[].adjust`,
      "(has(self.multiply) ? 1 : 0) + (has(self.add) ? 1 : 0) + (has(self.set) ? 1 : 0) == 1",
      "must hold exactly one of multiply, add, set",
    ),
  ),
  rule(`${policy}.corridor`, atMost("floor", "ceiling"), "floor must not exceed ceiling"),
  rule(`${policy}.corridor`, atMost("legalMinimum", "ceiling"), "legalMinimum must not exceed ceiling"),
  rule(
    `${policy}.rounding`,
    "quantity(self.increment).compareTo(quantity('0')) > 0",
    'increment must be more than "0"',
  ),
  rule(
    `${policy}.rounding`,
    "quantity(self.ending).compareTo(quantity(self.increment)) < 0",
    "ending must be less than increment",
  ),
  rule(
    "spec.payment.processors",
    "self.size() == 2 && self.exists(p, p.name == 'default') && self.exists(p, p.name == 'fallback')",
    "expected exactly two processors, named default and fallback",
    { maxItems: 2 },
  ),
  rule(
    "spec.payment.failover",
    "duration(self.maxVerdictAge) > duration(self.probeInterval)",
    "maxVerdictAge must be longer than probeInterval",
  ),
  rule("spec.kafka", "!has(self.caSecretRef) || self.tls", "caSecretRef needs tls: true"),
  rule("spec.orders.receipts", "has(self.s3) != has(self.directory)", "give exactly one of s3 and directory"),
  rule("spec", "!has(self.orders) || has(self.pricing)", "orders needs the pricing section"),
  rule("spec", "!has(self.orders) || has(self.payment)", "orders needs the payment section"),
  rule(
    "spec",
    "!has(self.ingest) || has(self.pricing) || !has(self.ingest.sources) || !self.ingest.sources.exists(s, s.products)",
    "a source with products: true needs the pricing section",
  ),
  keyedByName("spec.image.pullSecrets"),
  keyedByName("spec.gateway.rateLimit.tenants"),
  keyedByName(`${policy}.market`),
  keyedByName(`${policy}.customer`),
  keyedByName("spec.ingest.sources"),
  keyedByName("spec.payment.processors"),
];

/** What holds on Kubernetes alone: locally these come from the machine's own servers. */
const kubernetesRules: readonly Amendment[] = [
  rule(
    "spec",
    "has(self.kafka) && has(self.postgres) && has(self.redis)",
    "kafka, postgres and redis may be left out in the local runtime alone",
  ),
  rule("spec.payment", "has(self.processors)", "processors may be left out in the local runtime alone"),
  rule("spec.orders", "has(self.receipts)", "receipts may be left out in the local runtime alone"),
  rule("spec.orders.receipts", "!has(self.directory)", "a directory is for one machine: pods share no disk"),
  rule("spec.kafka.topics.partitions", "self >= oldSelf", "Kafka cannot take partitions away"),
  rule("spec.kafka.topics.replicationFactor", "self == oldSelf", "cannot be changed: it is the topics' own"),
];

const itemDescriptions: Readonly<Record<string, string>> = {
  "spec.image.pullSecrets[]": "A Secret of type kubernetes.io/dockerconfigjson.",
  "spec.gateway.rateLimit.routes[]": "Method and path, such as `POST /api/v1/price`.",
  "spec.gateway.rateLimit.tenants[]": "Limits of one tenant.",
  [`${policy}.market[]`]: "One rule of the market price.",
  [`${policy}.customer[]`]: "One rule of a customer's price.",
  "spec.ingest.sources[]": "One provider feed.",
  "spec.payment.processors[]": "One payment processor.",
};

export const amendments: readonly Amendment[] = [
  ...rules,
  ...kubernetesRules,
  ...decimals,
  ...Object.entries(itemDescriptions).map(([path, description]) => ({ path, more: { description } })),
];
