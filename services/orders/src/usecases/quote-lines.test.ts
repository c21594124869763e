import { expect, it } from "vitest";
import { quoteLines } from "./quote-lines.ts";

/** Pricing that sells everything for 1,000 yen. */
const pricing = {
  quote: async ({ items }: { items: readonly { product_id: string }[] }) => ({
    results: items.map(({ product_id }) => ({
      product_id,
      name: product_id,
      unit_price: "1000",
      currency: "JPY",
      decision_id: "d",
      initial_stock: null,
    })),
  }),
};
const order = (price: number) => ({ customer_id: "c", items: [{ product_id: "a", quantity: 1, price }] });

it("lets a trusted price win, and charges no other one in place of what is no amount of the currency", async () => {
  const trusted = await quoteLines(pricing, order(900), true);
  expect(trusted.lines).toMatchObject([{ unitPriceMinor: 900, decisionId: null }]);
  await expect(quoteLines(pricing, order(900.5), true)).rejects.toMatchObject({ code: "price_differs" });
  await expect(quoteLines(pricing, order(900), false)).rejects.toMatchObject({ code: "price_differs" });
});
