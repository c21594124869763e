import type { Engine } from "./engine.ts";

type Name = "default" | "fallback";

/** Sets what a simulated processor of the engine does: its delay, failure, fault or refunds. */
export async function configureProcessor(
  engine: Pick<Engine, "urlOf">,
  name: Name,
  setting: "delay" | "failure" | "fault" | "refunds",
  value: object,
): Promise<void> {
  const answer = await fetch(`${engine.urlOf(`processor-${name}`)}/admin/configurations/${setting}`, {
    method: "PUT",
    headers: { "x-rinha-token": "123", "content-type": "application/json" },
    body: JSON.stringify(value),
  });
  if (!answer.ok) throw new Error(`${setting} of ${name}: ${answer.status} ${await answer.text()}`);
}

/** Both of them down, or well again. */
export async function setBothDown(engine: Pick<Engine, "urlOf">, failure: boolean): Promise<void> {
  await Promise.all(
    (["default", "fallback"] as const).map((name) => configureProcessor(engine, name, "failure", { failure })),
  );
}
