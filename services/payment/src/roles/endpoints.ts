import type { ProcessorEndpoint } from "../adapters/processors.ts";
import type { ProcessorConfig } from "../config.ts";
import type { ProcessorName } from "../domain/processor.ts";

export function endpointsOf(config: ProcessorConfig): Record<ProcessorName, ProcessorEndpoint> {
  return {
    default: { url: config.PAYMENT_DEFAULT_URL, token: config.PAYMENT_DEFAULT_TOKEN },
    fallback: { url: config.PAYMENT_FALLBACK_URL, token: config.PAYMENT_FALLBACK_TOKEN },
  };
}
