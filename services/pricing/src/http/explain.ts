import { AppError, assertNever } from "@pricing-engine/chassis/errors";
import { type HttpApp, parseParams, parseQuery } from "@pricing-engine/chassis/http";
import { explainQuery, productId } from "@pricing-engine/contracts";
import { z } from "zod";
import type { ExplainPrice } from "../usecases/explain-price.ts";
import { currencyNotSold, unknownProduct } from "../usecases/price-errors.ts";

const params = z.object({ product_id: productId });

/** `GET /api/v1/prices/{product_id}/explain` */
export function mountExplain(app: HttpApp, explainPrice: ExplainPrice): void {
  app.get("/api/v1/prices/:product_id/explain", async (c) => {
    const { product_id: id } = parseParams(c, params);
    const { decision_id: decisionId, ...context } = parseQuery(c, explainQuery);
    const result = await (decisionId === undefined
      ? explainPrice.forContext(id, context)
      : explainPrice.forDecision(id, decisionId));
    switch (result.kind) {
      case "explained":
        return c.json(result.explanation);
      case "unknown_product":
        throw unknownProduct(id);
      case "currency_not_sold":
        throw currencyNotSold(id, result.currency);
      case "unknown_decision":
        throw notADecision(id);
      case "unrecorded_decision":
        throw new AppError("not_found", { detail: `the history of product "${id}" holds no price of that decision` });
      default:
        return assertNever(result);
    }
  });
}

function notADecision(id: string): AppError {
  const message = `must be a decision_id of product "${id}"`;
  return new AppError("validation_failed", {
    detail: `decision_id ${message}`,
    fieldErrors: [{ pointer: "?decision_id", code: "unknown_decision", message }],
  });
}
