import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { firstIntent, type Payment, type Step, step } from "../domain/payment.ts";
import type { ProcessorName } from "../domain/processor.ts";
import { makeControlPayment } from "./control.ts";
import type { ControlStore, Fence, Intent, PaymentStore, Write } from "./ports.ts";

/** What the protocol's proof takes for granted of a store: held by the one of the simulation and by the real one. */
export function describePaymentStore(open: () => Promise<{ store: PaymentStore & ControlStore; nowMs: number }>): void {
  const payment = (nowMs: number, changed: Partial<Payment> = {}): Parameters<typeof firstIntent>[0] => ({
    source: "api",
    id: randomUUID(),
    createdAtMs: nowMs,
    partition: 1,
    amountMinor: 2005,
    orderId: null,
    deadlineMs: null,
    acceptedAtMs: nowMs - 5,
    ...changed,
  });
  const intent = (fence: Fence, nowMs: number, changed: Partial<Payment> = {}): Intent => ({
    change: firstIntent(payment(nowMs, changed), "default", nowMs),
    fence,
  });
  const write = (before: Payment, input: Step, fence: Fence): Write => {
    const change = step(before, input);
    if (change === undefined) throw new Error(`${input.kind} does not apply`);
    return { before, change, fence };
  };
  const claim = async (store: PaymentStore, owner: string): Promise<Fence> => {
    const [fence] = await store.claim([1], owner);
    if (fence === undefined) throw new Error("not claimed");
    return fence;
  };

  it("raises the epoch when the owner changes, and only then", async () => {
    const { store } = await open();
    const first = await claim(store, "a");
    expect(await claim(store, "a")).toEqual(first);
    expect((await claim(store, "b")).epoch).toBe(first.epoch + 1);
  });

  it("keeps a row as it was given", async () => {
    const { store, nowMs } = await open();
    const fence = await claim(store, "a");
    const one = intent(fence, nowMs, { source: "order", orderId: "o", deadlineMs: nowMs + 1000 });
    expect(await store.insert([one])).toEqual(["inserted"]);
    expect(await store.find(one.change.after)).toEqual(one.change.after);
    expect(await store.findOpen([1], ["sending"], 10)).toEqual([one.change.after]);
    expect(await store.findOpen([2], ["sending"], 10)).toEqual([]);
    expect(await store.findOpen([1], ["waiting", "unknown"], 10)).toEqual([]);
  });

  it("finds what is open at a processor behind any number that is open at the other one", async () => {
    const { store, nowMs } = await open();
    const fence = await claim(store, "a");
    const at = (processor: ProcessorName): Intent => ({ change: firstIntent(payment(nowMs), processor, nowMs), fence });
    const intents = [at("default"), at("default"), at("default"), at("fallback")];
    await store.insert(intents);
    await store.apply(intents.map(({ change: { after } }) => write(after, { kind: "orphaned" }, fence)));
    const ids = async (...more: [ProcessorName?]) =>
      (await store.findOpen([1], ["unknown"], 2, ...more)).map(({ id }) => id);
    expect(await ids("fallback")).toEqual([intents[3]?.change.after.id]);
    expect(await ids("default")).toHaveLength(2);
    expect(await ids()).toHaveLength(2);
  });

  it("takes an id once, whatever comes with it later", async () => {
    const { store, nowMs } = await open();
    const fence = await claim(store, "a");
    const one = intent(fence, nowMs);
    const { id } = one.change.after;
    const again = intent(fence, nowMs + 1, { id, amountMinor: 1 });
    expect(await store.insert([one, again])).toEqual(["inserted", "known"]);
    expect(await store.insert([again, intent(fence, nowMs)])).toEqual(["known", "inserted"]);
    expect(await store.find(one.change.after)).toEqual(one.change.after);
  });

  it("takes no client's payment under the id of an order's charge", async () => {
    const { store, nowMs } = await open();
    const fence = await claim(store, "a");
    const charge = intent(fence, nowMs, { source: "order", orderId: "o" });
    const { id } = charge.change.after;
    await store.insert([charge]);
    expect(await store.insert([intent(fence, nowMs, { id, amountMinor: 1 }), intent(fence, nowMs)])).toEqual([
      "known",
      "inserted",
    ]);
    expect(await store.find({ source: "api", id })).toBeUndefined();
    expect(await store.find(charge.change.after)).toEqual(charge.change.after);
  });

  it("writes nothing for who is no longer the owner", async () => {
    const { store, nowMs } = await open();
    const old = await claim(store, "a");
    const one = intent(old, nowMs);
    await store.insert([one]);
    const fresh = await claim(store, "b");
    expect(await store.insert([intent(old, nowMs), intent(fresh, nowMs)])).toEqual(["fenced", "inserted"]);
    const lost: Step = { kind: "orphaned" };
    expect(await store.apply([write(one.change.after, lost, old)])).toEqual(["fenced"]);
    expect(await store.apply([write(one.change.after, lost, fresh)])).toEqual(["applied"]);
  });

  it("writes over the version that it was shown, and no other", async () => {
    const { store, nowMs } = await open();
    const fence = await claim(store, "a");
    const one = intent(fence, nowMs);
    await store.insert([one]);
    const settles = write(
      one.change.after,
      { kind: "outcome", attempt: 1, outcome: { kind: "recorded", already: false }, nowMs, next: undefined },
      fence,
    );
    expect(await store.apply([settles])).toEqual(["applied"]);
    expect(await store.apply([settles])).toEqual(["stale"]);
    expect(await store.find(one.change.after)).toEqual(settles.change.after);
    expect(await store.findOpen([1], ["sending", "waiting", "unknown"], 10)).toEqual([]);
  });

  it("lets a control come before its charge, and a charge find it", async () => {
    const { store, nowMs } = await open();
    const fence = await claim(store, "a");
    const control = makeControlPayment({ store, clock: { nowMs: () => nowMs } });
    const id = randomUUID();
    await control({ action: "cancel", id, orderId: "o", amountMinor: 2005, partition: 1 });
    expect(await store.insert([intent(fence, nowMs, { source: "order", id, orderId: "o" })])).toEqual(["known"]);
    expect(await store.find({ source: "order", id })).toMatchObject({ state: "cancelled" });
  });

  it("makes the owner look again after a control, and finds the refund that it left", async () => {
    const { store, nowMs } = await open();
    const fence = await claim(store, "a");
    const one = intent(fence, nowMs, { source: "order", orderId: "o" });
    const { id } = one.change.after;
    await store.insert([one]);
    const control = makeControlPayment({ store, clock: { nowMs: () => nowMs } });
    await control({ action: "cancel", id, orderId: "o", amountMinor: 2005, partition: 1 });
    const outcome: Step = {
      kind: "outcome",
      attempt: 1,
      outcome: { kind: "recorded", already: false },
      nowMs,
      next: undefined,
    };
    expect(await store.apply([write(one.change.after, outcome, fence)])).toEqual(["stale"]);
    const current = await store.find(one.change.after);
    if (current === undefined) throw new Error("the row is gone");
    expect(await store.apply([write(current, outcome, fence)])).toEqual(["applied"]);
    expect((await store.findRefunds([1], 10)).map((row) => row.id)).toEqual([id]);
  });
}
