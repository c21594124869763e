import type { Logger } from "@pricing-engine/chassis/log";
import type { Pool } from "@pricing-engine/postgres";
import type { PriceCache } from "@pricing-engine/price-cache";
import type { CompiledPolicies } from "../adapters/compiled-policies.ts";
import type { DecisionSigner } from "../adapters/decision-signer.ts";
import type { PriceSettings } from "./decide-price.ts";

/** What the verbs that only read stand on. */
export interface ReadDeps {
  /** Of the primary: a replica may show a price that is older than one already shown. */
  readonly pool: Pool;
  readonly cache: PriceCache;
  readonly policies: CompiledPolicies;
  readonly signer: DecisionSigner;
  /** As they are now. */
  readonly settings: () => PriceSettings;
  readonly logger: Pick<Logger, "warn">;
}
