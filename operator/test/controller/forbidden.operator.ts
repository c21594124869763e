import { setTimeout as delay } from "node:timers/promises";
import { eventually, type HttpFaultProxy, type SeenRequest } from "@pricing-engine/testkit";
import { describe, expect, it } from "vitest";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import { startKubeProxy } from "../kube/setup.ts";
import {
  chartRules,
  createEngine,
  engineBecomes,
  eventsOf,
  isReady,
  makePlace,
  makeSecrets,
  type Rule,
  type Spec,
} from "./setup.ts";

/** The chart's rules without one verb of one resource. */
function rulesWithout(verb: string, resource: string): readonly Rule[] {
  return chartRules().flatMap((rule) => {
    if (!rule.resources.includes(resource)) return [rule];
    const others = rule.resources.filter((name) => name !== resource);
    const left = { ...rule, resources: [resource], verbs: rule.verbs.filter((name) => name !== verb) };
    const remaining = left.verbs.length === 0 ? [] : [left];
    return others.length === 0 ? remaining : [{ ...rule, resources: others }, ...remaining];
  });
}

/** An operator that lacks one right, with an engine. */
async function lacking(verb: string, resource: string, spec: Spec = {}) {
  const place = await makePlace(rulesWithout(verb, resource));
  const proxy = await startKubeProxy();
  place.defer(() => proxy.close());
  await makeSecrets(place);
  await place.startOperator({ url: proxy.url });
  await createEngine(place, { pricing: { workers: { min: 1, max: 3 } }, ...spec });
  return { place, proxy, [Symbol.asyncDispose]: () => place.close() };
}

/** How many came from 5 s after the first on, for 20 s: every other second would be ten, and a pause that doubles, whatever it began with, five at most. */
async function countLater(proxy: HttpFaultProxy, match: (request: SeenRequest) => boolean): Promise<number> {
  await eventually(() => proxy.requests.some(match));
  const firstAtMs = proxy.requests.find(match)?.atMs ?? 0;
  const [fromMs, untilMs] = [firstAtMs + 5_000, firstAtMs + 25_000];
  await delay(Math.max(0, untilMs - performance.now()));
  // On a busy machine it may be later than that when somebody looks.
  return proxy.requests.filter((one) => match(one) && one.atMs > fromMs && one.atMs <= untilMs).length;
}

const request =
  (method: string, path: RegExp) =>
  ({ method: seen, url }: SeenRequest): boolean =>
    seen === method && path.test(url.pathname);

describe.concurrent("an operator that may not", () => {
  it.each([
    ["patch", "deployments", "WorkloadsAvailable", request("PATCH", /\/deployments\/[^/]+$/)],
    ["create", "jobs", "SchemaReady", request("POST", /\/jobs$/)],
    ["create", "configmaps", "SettingsApplied", request("POST", /\/configmaps$/)],
  ] as const)(
    "%s %s says so in a condition and an Event, and does not ask all the time",
    async (verb, resource, type, match) => {
      await using without = await lacking(verb, resource);
      const { place, proxy } = without;
      const denied = await engineBecomes(place, ({ condition }) => condition(type)?.reason === "Forbidden");
      const said = expect.stringMatching(new RegExp(`cannot ${verb} resource "${resource}"`));
      expect(denied.condition(type)).toMatchObject({ status: "False", message: said });
      expect(denied.condition("Ready")).toMatchObject({ status: "False", message: said });
      await eventually(async () =>
        expect(await eventsOf(place, `Not${type}`)).toMatchObject([{ type: "Warning", note: said }]),
      );
      expect(await countLater(proxy, match)).toBeLessThanOrEqual(5);
    },
  );

  it("get secrets stalls and says so", async () => {
    await using without = await lacking("get", "secrets");
    const { place, proxy } = without;
    const denied = await engineBecomes(place, ({ condition }) => condition("Stalled")?.reason === "Forbidden");
    const said = expect.stringMatching(/cannot get resource "secrets"/);
    expect(denied.condition("Stalled")).toMatchObject({ status: "True", message: said });
    // Each time two of them.
    expect(await countLater(proxy, request("GET", /\/secrets\//))).toBeLessThanOrEqual(6);
  });

  it("update the scale leaves the number alone, and says that it does", async () => {
    await using without = await lacking("update", "deployments/scale");
    const { place, proxy } = without;
    await engineBecomes(place, isReady);
    // From its first look on the number is the loop's.
    await engineBecomes(place, ({ status }) => status.workers?.some(({ lag }) => lag !== undefined) === true);
    const { resourceVersion = "" } = (await place.kube.readScale("shop-pricing-worker", place.namespace)) ?? {};
    await place.kube.writeScale("shop-pricing-worker", place.namespace, { replicas: 2, resourceVersion });
    const refused = await engineBecomes(place, ({ condition }) => condition("ScalingActive")?.reason === "Refused");
    expect(refused.condition("ScalingActive")?.message).toMatch(/cannot update resource "deployments\/scale"/);
    expect(refused.condition("Ready")).toMatchObject({ status: "True" });
    expect(await countLater(proxy, request("PUT", /\/scale$/))).toBeLessThanOrEqual(3);
    expect(
      (await place.kube.find(resourceTypes.deployments, "shop-pricing-worker", place.namespace))?.spec,
    ).toMatchObject({
      replicas: 2,
    });
  });

  it("patch the status says so in an Event, and does the rest", async () => {
    await using without = await lacking("patch", "pricingengines/status");
    const { place, proxy } = without;
    await eventually(async () => {
      const note = expect.stringMatching(/cannot patch resource "pricingengines\/status"/);
      expect(await eventsOf(place, "Forbidden")).toMatchObject([{ type: "Warning", note }]);
    });
    await eventually(() => place.kube.find(resourceTypes.deployments, "shop-pricing-worker", place.namespace));
    expect(await countLater(proxy, request("PATCH", /\/status$/))).toBeLessThanOrEqual(4);
  });

  it("patch an engine says so in an Event when that needs a finalizer", async () => {
    await using without = await lacking("patch", "pricingengines", { deletionPolicy: "Delete" });
    const { place, proxy } = without;
    await eventually(async () => {
      const note = expect.stringMatching(/cannot patch resource "pricingengines"/);
      expect(await eventsOf(place, "Forbidden")).toMatchObject([{ type: "Warning", note }]);
    });
    expect(await countLater(proxy, request("PATCH", /\/pricingengines\/shop$/))).toBeLessThanOrEqual(4);
  });
});
