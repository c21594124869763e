import { AppError } from "@pricing-engine/chassis/errors";
import { type HttpApp, parseBody } from "@pricing-engine/chassis/http";
import { simulationRequest } from "@pricing-engine/contracts";
import type { PolicyError } from "../domain/types.ts";
import type { SimulatePolicy } from "../usecases/simulate-policy.ts";

/** `POST /api/v1/simulations` */
export function mountSimulations(app: HttpApp, simulatePolicy: SimulatePolicy): void {
  app.post("/api/v1/simulations", async (c) => {
    const result = await simulatePolicy(await parseBody(c, simulationRequest));
    if (result.kind === "refused") throw refusedPolicy(result.errors);
    return c.json(result.simulation);
  });
}

function refusedPolicy(errors: readonly PolicyError[]): AppError {
  const fieldErrors = errors.map((error) => ({
    pointer: pointerOf(error),
    code: "policy_refused",
    message: `${error.rule}: ${error.message}${error.position === undefined ? "" : ` (at character ${error.position})`}`,
  }));
  const detail = `the policy is refused: ${fieldErrors[0]?.message}`;
  return new AppError("validation_failed", { detail, fieldErrors });
}

function pointerOf({ stage, index, field }: PolicyError): string {
  const path = field.replaceAll(".", "/");
  if (stage === "corridor" || stage === "rounding") return `/policy/${path}`;
  return index === undefined ? `/policy/${stage}` : `/policy/${stage}/${index}/${path}`;
}
