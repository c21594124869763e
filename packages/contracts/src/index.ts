export { amount, amountInput, currencyCode, fitsCurrency, knownCurrency, quantity, stock } from "./amount.ts";
export {
  type CatalogEventData,
  type CatalogEventMessage,
  type CatalogPlan,
  type CatalogZone,
  catalogEventData,
  catalogEventMessage,
  type RawPlan,
  rawPlan,
} from "./catalog-event.ts";
export { type Envelope, engineTenant, envelope, envelopeOf } from "./envelope.ts";
export {
  type MarketEventData,
  type MarketEventMessage,
  marketEventData,
  marketEventMessage,
  type PriceChangeData,
  type PriceChangeMessage,
  priceChangeData,
  priceChangeMessage,
  type RecalculationData,
  type RecalculationMessage,
  recalculationData,
  recalculationMessage,
} from "./event.ts";
export {
  type ExplainQuery,
  type ExplainResponse,
  explainQuery,
  explainResponse,
  explainStep,
} from "./explain.ts";
export { healthResponse } from "./health.ts";
export { type HistoryQuery, type HistoryResponse, historyQuery, historyResponse } from "./history.ts";
export {
  type KeyCreatedResponse,
  type KeyListResponse,
  type KeyRequest,
  keyCreatedResponse,
  keyListResponse,
  keyRequest,
  type Role,
  role,
  roles,
} from "./key.ts";
export {
  type MarketEventRequest,
  type MarketEventResponse,
  marketEventRequest,
  marketEventResponse,
  type SignalKind,
  signalKind,
  signalKinds,
} from "./market-event.ts";
export {
  findPaymentAmountMinor,
  type PaymentRequest,
  type PaymentResponse,
  type PaymentsSummaryQuery,
  type PaymentsSummaryResponse,
  paymentId,
  paymentRequest,
  paymentResponse,
  paymentStates,
  paymentsSummaryQuery,
  paymentsSummaryResponse,
  processorName,
  refundStates,
  toPaymentAmount,
} from "./payment.ts";
export {
  type ChargeData,
  type ChargeMessage,
  chargeData,
  chargeMessage,
  type PaymentControlData,
  type PaymentControlMessage,
  type PaymentEventData,
  type PaymentEventMessage,
  type PaymentSource,
  paymentControlData,
  paymentControlMessage,
  paymentEventData,
  paymentEventMessage,
  paymentSource,
} from "./payment-message.ts";
export {
  type PaymentSettings,
  type ProcessorVerdict,
  paymentSettings,
  processorVerdict,
} from "./payment-settings.ts";
export { findPlainPriceRequest } from "./plain-price-request.ts";
export {
  emptyPolicy,
  maxExpressionLength,
  type Policy,
  type PolicyAdjust,
  type PolicyCorridor,
  type PolicyRounding,
  type PolicyRule,
  policyAdjust,
  policyCorridor,
  policyRounding,
  policyRule,
  policySchema,
} from "./policy.ts";
export {
  type CustomerContext,
  customerContext,
  maxBatchItems,
  type PriceBatchRequest,
  type PriceBatchResponse,
  type PriceRequest,
  type PriceResponse,
  priceBatchRequest,
  priceBatchResponse,
  priceRequest,
  priceResponse,
} from "./price.ts";
export { itemError, problem } from "./problem.ts";
export {
  type ListPriceInput,
  maxImportLineBytes,
  maxImportRejections,
  type ProductImportLine,
  type ProductImportResponse,
  type ProductInput,
  type ProductListQuery,
  type ProductListResponse,
  type ProductResponse,
  productCsvColumns,
  productImportLine,
  productImportResponse,
  productInput,
  productListQuery,
  productListResponse,
  productResponse,
} from "./product.ts";
export {
  maxSearchLimit,
  type SearchEvent,
  type SearchFailure,
  type SearchResponse,
  searchEvent,
  searchFailure,
  searchQuery,
  searchResponse,
} from "./search.ts";
export {
  type EngineSettings,
  engineSettingsSchema,
  type GatewaySettings,
  gatewaySettings,
  type IngestSettings,
  ingestSettings,
  logLevels,
  type PricingSettings,
  pricingSettings,
  type RateLimitSettings,
  rateLimitSettings,
} from "./settings.ts";
export {
  maxSimulatedProducts,
  type SimulationRequest,
  type SimulationResponse,
  simulationRequest,
  simulationResponse,
} from "./simulation.ts";
export {
  type FeedFormat,
  feedFormats,
  type SourceSettings,
  type SourceState,
  type SourceStatus,
  type SourcesResponse,
  sourceSettings,
  sourceStates,
  sourcesResponse,
} from "./source.ts";
export {
  type TaskResponse,
  type TaskStatus,
  type TaskType,
  taskResponse,
  taskStatus,
  taskStatuses,
  taskType,
  taskTypes,
} from "./task.ts";
export { decisionId, isStorableText, maxIdLength, productId, segment, taskId, text } from "./text.ts";
export { time, timeInput } from "./time.ts";
export { deadLetterTopic, enginePrefix, groupName, retryTopic, topicName, topics } from "./topic.ts";
export { findWallTime, type WallTime } from "./wall-time.ts";
