import { AppError } from "@pricing-engine/chassis/errors";

export function unknownProduct(productId: string): AppError {
  return new AppError("not_found", { detail: `there is no product "${productId}"` });
}

export function currencyNotSold(productId: string, currency: string): AppError {
  return new AppError("currency_not_sold", { detail: `product "${productId}" is not sold in ${currency}` });
}

/** What takes the place of one item's answer where the others went well. */
export function toItemError({ code, status, message }: AppError): { code: string; status: number; detail: string } {
  return { code, status, detail: message };
}
