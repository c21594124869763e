/** Shows an engine at work: real HTTP through the gateway, each call with the curl that does the same. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type ExplainResponse,
  explainResponse,
  marketEventResponse,
  type PriceResponse,
  priceResponse,
  productImportResponse,
  type TaskResponse,
  taskResponse,
} from "@pricing-engine/contracts";
import { UserError } from "../runtime/local/user-error.ts";
import type { DemoCaller } from "./demo-caller.ts";
import { examplesDir } from "./options.ts";

export interface DemoOptions {
  readonly caller: DemoCaller;
  /** Makes each run's first price one that no cache knows. */
  readonly run: string;
  /** Called at the first price. */
  onFirstPrice(): void;
}

const productId = "291-291-40";
const taskTimeoutMs = 30_000;
const visibleTimeoutMs = 5000;

/** @throws UserError with the call that did not go as it should */
export async function runDemo({ caller, run, onFirstPrice }: DemoOptions): Promise<void> {
  const { address, call, show, say } = caller;
  const { headers, keyHint } = await caller.key();

  const products = await readFile(join(examplesDir, "products.ndjson"));
  const response = await fetch(`${address}/api/v1/products:import`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/x-ndjson" },
    body: products,
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok)
    throw new UserError(`the import answered ${response.status}: ${(await response.text()).slice(0, 400)}`);
  const imported = productImportResponse.parse(await response.json());
  say("");
  say("Products, one a line");
  say(
    `  $ curl -s${keyHint} -H 'content-type: application/x-ndjson' --data-binary @examples/products.ndjson '${address}/api/v1/products:import'`,
  );
  say(`  ${JSON.stringify(imported)}`);

  const question = { product_id: productId, user_location: `demo-${run}` };
  const price = () => call("POST", "/api/v1/price", priceResponse, question);
  const first = await price();
  onFirstPrice();
  await show("A price, made from Postgres", "/api/v1/price", short(first), question);
  await show("The same again, from the cache", "/api/v1/price", short(await price()), question);

  // A second run finds the price of the first one: then demand falls back instead.
  const raised = Number(first.final_price) > Number(first.base_price);
  const event = { type: "demand", product_id: productId, demand: raised ? 1 : 2.5 };
  const accepted = await call("POST", "/api/v1/publish-market-event", marketEventResponse, event);
  await show(
    raised ? "Demand is back to normal: 202 and a task" : "Demand rises: 202 and a task",
    "/api/v1/publish-market-event",
    accepted,
    event,
  );

  const taskPath = `/api/v1/tasks/${accepted.task_id}`;
  const task = await settle(() => call("GET", taskPath, taskResponse));
  await show("The task", taskPath, { task_id: task.task_id, status: task.status, products: task.products });
  if (task.status !== "succeeded") throw new UserError(`the task ended ${task.status}: ${JSON.stringify(task)}`);

  const moved = await untilMoved(price, first);
  await show("The new price", "/api/v1/price", short(moved), question);
  if (moved.final_price === first.final_price) say("  (unchanged: this policy has no answer to demand)");

  const explainPath = `/api/v1/prices/${productId}/explain?user_location=${question.user_location}`;
  const explained = await call("GET", explainPath, explainResponse);
  await show("Why", explainPath, { final_price: explained.final_price, binding_rule: explained.binding_rule });
  for (const line of describeSteps(explained)) say(`    ${line}`);
}

async function settle(look: () => Promise<TaskResponse>): Promise<TaskResponse> {
  const deadline = performance.now() + taskTimeoutMs;
  for (;;) {
    const task = await look();
    if (task.status !== "queued" && task.status !== "running") return task;
    if (performance.now() > deadline)
      throw new UserError(`the task is still ${task.status} after ${taskTimeoutMs / 1000} s`);
    await delay(50);
  }
}

/** The relay that tells caches of a new price is a moment behind the task. */
async function untilMoved(look: () => Promise<PriceResponse>, before: PriceResponse): Promise<PriceResponse> {
  const deadline = performance.now() + visibleTimeoutMs;
  for (;;) {
    const price = await look();
    if (price.final_price !== before.final_price || performance.now() > deadline) return price;
    await delay(50);
  }
}

function short({ decision_id, ...price }: PriceResponse): object {
  return { ...price, decision_id: `${decision_id.slice(0, 12)}…` };
}

function describeSteps({ steps }: ExplainResponse): string[] {
  return steps.map(
    ({ stage, rule, before, after, reason }) => `${stage.padEnd(8)} ${rule.padEnd(12)} ${before} → ${after}  ${reason}`,
  );
}
