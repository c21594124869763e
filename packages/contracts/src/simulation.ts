import { z } from "zod";
import { amount } from "./amount.ts";
import { policySchema } from "./policy.ts";
import { customerContext } from "./price.ts";
import { itemError } from "./problem.ts";
import { productId } from "./text.ts";

export const maxSimulatedProducts = 1000;

/** Body of `POST /api/v1/simulations`. Without `product_ids` all products count; the answer lists the first ones. */
export const simulationRequest = z
  .strictObject({
    policy: policySchema,
    product_ids: z.array(productId).min(1).max(maxSimulatedProducts).optional(),
    customer: customerContext.optional(),
  })
  .meta({
    id: "SimulationRequest",
    examples: [
      {
        policy: {
          customer: [
            { name: "prime", when: "customer.prime", adjust: { multiply: "0.9" }, reason: "Members pay 10 % less" },
          ],
        },
        product_ids: ["concert-42-stalls"],
        customer: { is_prime_member: true },
      },
    ],
  });
export type SimulationRequest = z.infer<typeof simulationRequest>;

const sides = z.object({ market_price: amount, final_price: amount });

export const simulationResponse = z
  .object({
    results: z.array(
      z.union([
        z.object({
          product_id: z.string(),
          currency: z.string(),
          now: sides,
          simulated: sides,
          difference: z.string().meta({ description: "simulated - now, of the final price.", example: "-1.99" }),
        }),
        z.object({ product_id: z.string(), error: itemError }),
      ]),
    ),
    totals: z
      .array(
        z.object({
          currency: z.string().meta({ example: "EUR" }),
          products: z.int().meta({ example: 1 }),
          now: amount,
          simulated: amount,
          difference: z.string().meta({ example: "-1.99" }),
        }),
      )
      .meta({ description: "Sums of the final prices over every product that counted, by currency." }),
    truncated: z
      .boolean()
      .meta({ description: "Whether `results` lists fewer products than `totals` counts.", example: false }),
  })
  .meta({ id: "Simulation" });
export type SimulationResponse = z.infer<typeof simulationResponse>;
