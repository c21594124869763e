import { simulationResponse } from "@pricing-engine/contracts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { toWrite } from "../src/usecases/product-document.ts";
import { members, openReads, type Reads } from "./support/reads.ts";
import { product, type TestService } from "./support/service.ts";

let opened: Reads;
let service: TestService;
let send: Reads["send"];

beforeEach(async () => {
  opened = await openReads();
  ({ service, send } = opened);
});
afterEach(() => opened.close());

describe("a simulation", () => {
  it("gives prices now and under the policy, by product and in sum, and changes nothing", async () => {
    await service.putProduct("seat", product({ base_price: "10.00" }));
    await service.putProduct("stall", product({ base_price: "20.00" }));
    const before = await service.pool.sql`select * from pricing.prices order by product_id`;
    const request = { policy: members, customer: { is_prime_member: true } };
    const response = await send("/api/v1/simulations", request);
    expect(response.status).toBe(200);
    expect(simulationResponse.parse(await response.json())).toEqual({
      results: [
        {
          product_id: "seat",
          currency: "EUR",
          now: { market_price: "10.00", final_price: "10.00" },
          simulated: { market_price: "20.00", final_price: "19.00" },
          difference: "9.00",
        },
        {
          product_id: "stall",
          currency: "EUR",
          now: { market_price: "20.00", final_price: "20.00" },
          simulated: { market_price: "40.00", final_price: "38.00" },
          difference: "18.00",
        },
      ],
      totals: [{ currency: "EUR", products: 2, now: "30.00", simulated: "57.00", difference: "27.00" }],
      truncated: false,
    });
    expect(await service.pool.sql`select * from pricing.prices order by product_id`).toEqual(before);
  });

  it("counts the drift from yesterday's price, though the policy in force does not", async () => {
    await service.putProduct("seat", product({ base_price: "10.00" }));
    await service.pool.sql`update pricing.products set created_at = created_at - interval '2 days'`;
    await service.pool.sql`update pricing.price_history set decided_at = decided_at - interval '25 hours'`;
    const policy = { ...members, corridor: { maxDailyDrift: "0.50" } };
    const response = await send("/api/v1/simulations", { policy });
    expect(await response.json()).toMatchObject({ results: [{ simulated: { market_price: "15.00" } }] });
  });

  it("of named products answers for each, unknown ones too", async () => {
    await service.putProduct("seat", product());
    const response = await send("/api/v1/simulations", { policy: {}, product_ids: ["nope", "seat"] });
    expect(await response.json()).toMatchObject({
      results: [
        { product_id: "nope", error: { code: "not_found" } },
        { product_id: "seat", difference: "0.00" },
      ],
      totals: [{ products: 1 }],
    });
  });

  it("sums beyond what a number counts exactly", async () => {
    const most = product({ base_price: "9999999999.99" });
    await service.writeProducts(Array.from({ length: 100 }, (_, index) => toWrite(`big-${index}`, most)));
    const policy = { market: [{ name: "hundredfold", adjust: { multiply: "100" } }] };
    const response = await send("/api/v1/simulations", { policy });
    expect([response.status, await response.json()]).toMatchObject([
      200,
      { totals: [{ products: 100, now: "999999999999.00", simulated: "99999999999900.00" }] },
    ]);
  });

  it("of a policy that does not compile says where it is wrong", async () => {
    const policy = { customer: [{ name: "bad", when: "signals.demand > 1", adjust: { multiply: "1" } }] };
    const response = await send("/api/v1/simulations", { policy });
    expect([response.status, await response.json()]).toMatchObject([
      400,
      {
        errors: [
          { pointer: "/policy/customer/0/when", message: expect.stringMatching(/^bad: "signals".*character 0/) },
        ],
      },
    ]);
  });
});
